//go:build wasip1

package plugin

import "errors"

//go:wasmexport millstream:plugin/aggregate@0.1.0#retract
func exportRetract(v, vn, o, on, b, bn, groups, groupBytes, rows, columns, count uint32) uint32 {
	begun()
	return answered(errors.New("this kit takes states out of states, not rows"))
}
