// Tells which keys have been silent for a while. The host keeps a state and a timer for each key; the operator gets them
// with the rows of the key, and again when the timer is due.
package main

import "millstream/plugin"

// Silent is the operator's config.
type Silent struct {
	Time    string `json:"time" doc:"The timestamp column."`
	AfterMs uint32 `json:"after_ms" doc:"How long, in milliseconds."`
}

// silent is called once for each instance. The state of a key is the time of its last row.
func silent(config Silent, _, input plugin.Schema) (operator plugin.KeyedOperator[plugin.Timestamp], err error) {
	_, err = input.Timestamp(config.Time)
	// What comes behind the columns of the key.
	operator.Output = plugin.Schema{{Name: "since", Type: plugin.TimestampUTC}}
	operator.OnRow = func(key *plugin.Key[plugin.Timestamp], row plugin.Row) error {
		at, ok := row.Timestamp(config.Time)
		if !ok {
			key.Reject(row, "it has no time")
			return nil
		}
		if key.State != nil {
			at = max(at, *key.State)
		}
		key.State = &at
		key.SetTimer(at + plugin.Timestamp(config.AfterMs)*1000)
		return nil
	}
	operator.OnTimer = func(key *plugin.Key[plugin.Timestamp], _ plugin.Timestamp) error {
		if key.State != nil {
			key.Emit(*key.State)
		}
		// Nothing is kept of a silent key.
		key.State = nil
		return nil
	}
	return operator, err
}

func init() {
	plugin.Describe("{{name}}", "0.1.0", "Silence.")
	plugin.Keyed("silent", "Keys without rows for a while.", silent)
}

func main() {}
