package plugin_test

import (
	"fmt"
	"testing"

	"millstream/plugin"
	"millstream/plugin/plugintest"
)

// breaks names the call that panics.
type breaks struct {
	In string `json:"in"`
}

func (b breaks) in(call string) {
	if b.In == call {
		panic("no more")
	}
}

func openBreaking(config breaks, input plugin.Schema) (plugin.Transformer, error) {
	config.in("open")
	return plugin.Transformer{Output: input, Process: func(batch *plugin.Batch, out *plugin.Output) error {
		texts := plugin.TextKey{}.Read(batch)
		switch config.In {
		case "rows":
			for row := range batch.Rows() {
				if text, _ := row.Text("s"); text == "bad" {
					panic("no more")
				}
			}
		case "after rows", "after texts":
			for row := range batch.Rows() {
				if _, ok := row.Int64("n"); ok {
					break
				}
			}
			if config.In == "after texts" {
				for range texts.All() {
					break
				}
			}
			panic("no more")
		case "odd":
			var none *oddError
			panic(none)
		}
		out.Keep()
		return nil
	}}, nil
}

// oddError breaks once more when it is asked what it is.
type oddError struct{ text string }

func (e *oddError) Error() string { return e.text }

func openBreakingAggregate(config breaks, input plugin.Schema) (plugin.Aggregator[int64], error) {
	return plugin.Aggregator[int64]{
		Output: plugintest.Schema("a int64, b utf8"),
		Accumulate: func(states []int64, groups []uint32, batch *plugin.Batch) error {
			for range (plugin.TextKey{}).Read(batch).All() {
				config.in("accumulate")
			}
			return nil
		},
		Merge:   func(_, _ []int64) error { config.in("merge"); return nil },
		Retract: func(_, _ []int64) error { config.in("retract"); return nil },
		Finish: func(states []int64, out *plugin.Output) error {
			config.in("finish")
			switch config.In {
			case "keep":
				out.Keep()
			case "reject":
				out.Reject(0, "no")
			}
			for _, state := range states {
				out.Append("a", state)
				out.Append("b", "b")
			}
			return nil
		},
	}, nil
}

func openBreakingKeyed(config breaks, _, _ plugin.Schema) (plugin.KeyedOperator[int64], error) {
	return plugin.KeyedOperator[int64]{
		Output: plugintest.Schema("n int64"),
		OnRow: func(key *plugin.Key[int64], row plugin.Row) error {
			if text, _ := row.Text("s"); text == "bad" {
				config.in("row")
				// Looking at the key is no place in the rows.
				key.Columns().Text("k")
				config.in("key")
			}
			return nil
		},
		OnTimer: func(*plugin.Key[int64], plugin.Timestamp) error { config.in("timer"); return nil },
		Migrate: func(string, []byte) (*int64, error) { config.in("migrate"); return nil, nil },
	}, nil
}

func init() {
	plugin.Transform("breaks", "Panics.", openBreaking)
	plugin.Aggregate("breaks-sum", "Panics.", openBreakingAggregate, plugin.Retracts)
	plugin.Keyed("breaks-keyed", "Panics.", openBreakingKeyed)
}

func TestAPanicNamesThePlaceWhileThereIsOne(t *testing.T) {
	for in, wanted := range map[string]string{
		"open":        "operator `breaks`: panic: no more",
		"rows":        "operator `breaks`: column `s`, row 1: panic: no more",
		"after rows":  "operator `breaks`: column `s`: panic: no more",
		"after texts": "operator `breaks`: column `s`: panic: no more",
		"odd":         "operator `breaks`: column `s`: panic: <nil>",
	} {
		_, err := plugintest.Transform("breaks", `{"in":"`+in+`"}`, "s utf8, n int64", `{"s":"a","n":1}`, `{"s":"bad","n":2}`)
		is(t, err, wanted)
	}
}

// twoStates are two of int64.
var twoStates = plugin.Buffers{Offsets: []byte{0, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0, 0}, Values: make([]byte, 16)}

var twoTexts = []plugin.Buffers{{Offsets: []byte{0, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0}, Values: []byte("abad")}}

func TestAPanicInAnyCallOfAnAggregateIsAnError(t *testing.T) {
	for in, wanted := range map[string]string{
		"accumulate": "operator `breaks-sum`: column `s`, row 0: panic: no more",
		"merge":      "operator `breaks-sum`: panic: no more",
		"retract":    "operator `breaks-sum`: panic: no more",
		"finish":     "operator `breaks-sum`: panic: no more",
		"keep":       "operator `breaks-sum`: there are no input rows here to keep, skip or reject",
		"reject":     "operator `breaks-sum`: there are no input rows here to keep, skip or reject",
	} {
		opened, err := plugin.Open(plugin.KindAggregate, "breaks-sum", `{"in":"`+in+`"}`, nil, plugintest.Schema("s utf8"))
		is(t, err, nil)
		errs := []error{}
		_, err = opened.Accumulate(twoStates, []uint32{0, 1}, 2, twoTexts)
		errs = append(errs, err)
		_, err = opened.Merge(twoStates, twoStates)
		errs = append(errs, err)
		_, err = opened.Retract(twoStates, twoStates)
		errs = append(errs, err)
		_, err = opened.Finish(twoStates)
		for _, found := range append(errs, err) {
			if found != nil {
				is(t, found, wanted)
				wanted = ""
			}
		}
		is(t, wanted, "")
	}
}

func TestNoStatesFinishAsEmptyColumns(t *testing.T) {
	opened, err := plugin.Open(plugin.KindAggregate, "breaks-sum", `{"in":"never"}`, nil, plugintest.Schema("s utf8"))
	is(t, err, nil)
	for _, none := range []plugin.Buffers{{}, {Offsets: make([]byte, 4)}} {
		finished, err := opened.Finish(none)
		is(t, err, nil)
		is(t, fmt.Sprint(finished.Rows, finished.Columns), "0 [{[] [] []} {[] [0 0 0 0] []}]")
	}
	finished, err := opened.Finish(twoStates)
	is(t, fmt.Sprint(finished.Rows, err), "2 <nil>")
}

func TestAPanicInAnyCallOfAKeyedOperatorIsAnError(t *testing.T) {
	key := []plugin.Buffers{{Offsets: []byte{0, 0, 0, 0, 1, 0, 0, 0}, Values: []byte("k")}}
	state := plugin.Buffers{Offsets: []byte{0, 0, 0, 0, 8, 0, 0, 0}, Values: make([]byte, 8)}
	for in, wanted := range map[string]string{
		"row":     "operator `breaks-keyed`: column `s`, row 1: panic: no more",
		"key":     "operator `breaks-keyed`: column `k`, row 1: panic: no more",
		"timer":   "operator `breaks-keyed`: panic: no more",
		"migrate": "operator `breaks-keyed`: panic: no more",
	} {
		opened, err := plugin.Open(plugin.KindKeyed, "breaks-keyed", `{"in":"`+in+`"}`, plugintest.Schema("k utf8"),
			plugintest.Schema("s utf8"))
		is(t, err, nil)
		_, err = opened.Turn(plugin.Clock{}, plugin.Turn{
			KeyCount: 1, Keys: key, States: state, RowCount: 2, Rows: twoTexts, RowKeys: []uint32{0, 0}, Due: []plugin.Timer{{At: 1}},
		})
		if _, migrated := opened.Migrate("0.0.1", state); migrated != nil {
			err = migrated
		}
		is(t, err, wanted)
	}
}
