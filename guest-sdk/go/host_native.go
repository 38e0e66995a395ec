//go:build !wasip1

package plugin

import "fmt"

// Heard is what operators logged, counted and observed in native tests.
var Heard []string

func hostLog(level Level, message string) {
	Heard = append(Heard, fmt.Sprintf("log %d %s", level, message))
}

func hostCount(name string, by uint64) { Heard = append(Heard, fmt.Sprintf("count %s %d", name, by)) }

func hostObserve(name string, value float64) {
	Heard = append(Heard, fmt.Sprintf("observe %s %v", name, value))
}
