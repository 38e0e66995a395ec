package main

import "millstream/plugin"

type HostileKeyed struct {
	Do     string `json:"do" doc:"What it does." enum:"nothing,throw,throw-timer,null,overflow"`
	Column string `json:"column" doc:"The text column; throw waits for bad in it."`
	Time   string `json:"time" doc:"The timestamp column, for throw-timer."`
}

// hostileKeyed counts the rows of a key, and does what a keyed operator can do wrong.
func hostileKeyed(config HostileKeyed, _, input plugin.Schema) (operator plugin.KeyedOperator[int64], err error) {
	if _, err := input.Text(config.Column); err != nil {
		return operator, err
	}
	if _, err := input.Timestamp(config.Time); err != nil {
		return operator, err
	}
	operator.Output = plugin.Schema{{Name: "n", Type: plugin.Int64}}
	operator.OnRow = func(key *plugin.Key[int64], row plugin.Row) error {
		if text, _ := row.Text(config.Column); config.Do == "throw" && text == "bad" {
			panic("bad")
		}
		if at, ok := row.Timestamp(config.Time); ok && config.Do == "throw-timer" {
			key.SetTimer(at + 1000)
		}
		count := int64(1)
		if key.State != nil {
			count += *key.State
		}
		key.State = &count
		switch config.Do {
		case "null":
			key.Emit(nil)
		case "overflow":
			key.Emit(uint64(1 << 63))
		default:
			key.Emit(count)
		}
		return nil
	}
	operator.OnTimer = func(*plugin.Key[int64], plugin.Timestamp) error { panic("bad") }
	return operator, nil
}
