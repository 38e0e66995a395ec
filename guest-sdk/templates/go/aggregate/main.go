// The share of rows in which something is true. The state is what the rows of a group come to: the host keeps it, and adds
// up the parts of its workers with Merge.
package main

import "millstream/plugin"

// Share is the operator's config.
type Share struct {
	Column string `json:"column" doc:"The boolean column; nulls do not count."`
}

// state is how many are true, and how many there are: zero for a group without rows.
type state struct{ yes, all int64 }

// share is called once for each instance.
func share(config Share, input plugin.Schema) (plugin.Aggregator[state], error) {
	column, err := input.Boolean(config.Column)
	return plugin.Aggregator[state]{
		Output: plugin.Schema{{Name: "share", Type: plugin.Float64, Nullable: true}},
		Accumulate: func(states []state, groups []uint32, batch *plugin.Batch) error {
			values := column.Read(batch)
			for row, group := range groups {
				value, ok := values.Get(row)
				if !ok {
					continue
				}
				if value {
					states[group].yes++
				}
				states[group].all++
			}
			return nil
		},
		Merge: func(states, others []state) error {
			for i, other := range others {
				states[i].yes += other.yes
				states[i].all += other.all
			}
			return nil
		},
		Finish: func(states []state, out *plugin.Output) error {
			shares := out.Float64("share")
			for _, state := range states {
				if state.all == 0 {
					shares.AppendNull()
				} else {
					shares.Append(float64(state.yes) / float64(state.all))
				}
			}
			return nil
		},
	}, err
}

func init() {
	plugin.Describe("{{name}}", "0.1.0", "Shares.")
	plugin.Aggregate("share", "The share of rows in which a column is true.", share)
}

func main() {}
