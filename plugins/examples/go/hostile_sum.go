package main

import "millstream/plugin"

type HostileSum struct {
	Do     string `json:"do" doc:"What it does." enum:"nothing,throw,throw-merge,throw-finish,null,overflow"`
	Column string `json:"column" doc:"The text column; throw waits for bad in it."`
}

// hostileSum counts rows, and does what an aggregate can do wrong.
func hostileSum(config HostileSum, input plugin.Schema) (plugin.Aggregator[int64], error) {
	column, err := input.Text(config.Column)
	return plugin.Aggregator[int64]{
		Output: plugin.Schema{{Name: "n", Type: plugin.Int64}},
		Accumulate: func(states []int64, groups []uint32, batch *plugin.Batch) error {
			for _, text := range column.Read(batch).All() {
				if config.Do == "throw" && text == "bad" {
					panic("bad")
				}
			}
			for _, group := range groups {
				states[group]++
			}
			return nil
		},
		Merge: func(states, others []int64) error {
			if config.Do == "throw-merge" {
				panic("bad")
			}
			for i, other := range others {
				states[i] += other
			}
			return nil
		},
		Finish: func(states []int64, out *plugin.Output) error {
			counts := out.Int64("n")
			for _, count := range states {
				switch config.Do {
				case "throw-finish":
					panic("bad")
				case "null":
					counts.AppendNull()
				case "overflow":
					counts.AppendUint64(1 << 63)
				default:
					counts.Append(count)
				}
			}
			return nil
		},
	}, err
}
