package main

import "millstream/plugin"

type Mean struct {
	Column string `json:"column" doc:"The int64 or float64 column; nulls do not count."`
}

// meanState has a fixed width: the kit changes it where it lies.
type meanState struct {
	sum   float64
	count int64
}

func mean(config Mean, input plugin.Schema) (plugin.Aggregator[meanState], error) {
	accumulate, err := meanOf(config.Column, input)
	return plugin.Aggregator[meanState]{
		Output:     plugin.Schema{{Name: "mean", Type: plugin.Float64, Nullable: true}},
		Accumulate: accumulate,
		Merge: func(states, others []meanState) error {
			for i, other := range others {
				states[i].sum += other.sum
				states[i].count += other.count
			}
			return nil
		},
		Finish: func(states []meanState, out *plugin.Output) error {
			means := out.Float64("mean")
			for _, state := range states {
				if state.count == 0 {
					means.AppendNull()
				} else {
					means.Append(state.sum / float64(state.count))
				}
			}
			return nil
		},
	}, err
}

type accumulate = func(states []meanState, groups []uint32, batch *plugin.Batch) error

func meanOf(column string, input plugin.Schema) (accumulate, error) {
	if whole, err := input.Int64(column); err == nil {
		return sum(whole), nil
	}
	float, err := input.Float64(column)
	return sum(float), err
}

func sum[T int64 | float64](column plugin.NumberKey[T]) accumulate {
	return func(states []meanState, groups []uint32, batch *plugin.Batch) error {
		numbers := column.Read(batch)
		for row, number := range numbers.Values {
			if !numbers.Is(row) {
				state := &states[groups[row]]
				state.sum += float64(number)
				state.count++
			}
		}
		return nil
	}
}
