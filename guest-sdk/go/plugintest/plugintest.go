// Package plugintest runs the operators of a plugin natively, without Wasm: rows go in as JSON objects and come out
// as JSON objects, with the columns in their order.
//
//	ran, err := plugintest.Transform("split-words", `{"column":"t"}`, "t utf8?", `{"t":"a b"}`)
//
// A schema is `name type, name type?`, with the types of Millstream and a question mark for columns with nulls.
package plugintest

import (
	"fmt"
	"strings"

	"millstream/plugin"
)

// Ran is what an operator made of rows.
type Ran struct {
	// Rows are JSON objects.
	Rows []string
	// Rejected are the rows refused, as `row: reason`.
	Rejected []string
}

func (r *Ran) add(schema plugin.Schema, finished plugin.Finished) {
	r.Rows = append(r.Rows, rows(schema, finished)...)
	for _, rejection := range finished.Rejected {
		r.Rejected = append(r.Rejected, fmt.Sprintf("%d: %s", rejection.Row, rejection.Reason))
	}
}

// Schema reads a schema; it panics on one that it does not understand.
func Schema(words string) (schema plugin.Schema) {
	for _, column := range strings.Split(words, ",") {
		name, of, _ := strings.Cut(strings.TrimSpace(column), " ")
		of, nullable := strings.CutSuffix(of, "?")
		found := -1
		for t := plugin.Boolean; t <= plugin.Binary; t++ {
			if t.String() == of {
				found = int(t)
			}
		}
		if found < 0 {
			panic(fmt.Sprintf("the schema has no type behind %q", name))
		}
		schema = append(schema, plugin.Field{Name: name, Type: plugin.Type(found), Nullable: nullable})
	}
	return schema
}

// Transform opens a transform and gives it one batch.
func Transform(name, config, schema string, rows ...string) (ran Ran, err error) {
	input := Schema(schema)
	opened, err := plugin.Open(plugin.KindTransform, name, config, nil, input)
	if err != nil {
		return ran, err
	}
	finished, err := opened.Process(plugin.Clock{BatchID: 1, Now: 1_000_000}, len(rows), columns(input, rows))
	if err != nil {
		return ran, err
	}
	ran.add(opened.Output(), finished)
	return ran, nil
}

// Prepare opens a transform and answers with a function that gives it the same batch again and again, for benchmarks.
func Prepare(name, config, schema string, rows ...string) func() {
	input := Schema(schema)
	opened, err := plugin.Open(plugin.KindTransform, name, config, nil, input)
	if err != nil {
		panic(err)
	}
	given := columns(input, rows)
	return func() {
		if _, err := opened.Process(plugin.Clock{BatchID: 1}, len(rows), given); err != nil {
			panic(err)
		}
	}
}

// newState is a column of one state that is null.
func newState() plugin.Buffers {
	return plugin.Buffers{Validity: []byte{0}, Offsets: make([]byte, 8)}
}

// Aggregate opens an aggregate and gives it each row in a state of its own, merged by the values of the utf8 column
// `by`; then come the results, a row a group, in the order in which the groups came.
func Aggregate(name, config, schema, by string, rows ...string) (ran Ran, err error) {
	input := Schema(schema)
	opened, err := plugin.Open(plugin.KindAggregate, name, config, nil, input)
	if err != nil {
		return ran, err
	}
	var groups []string
	states := map[string]plugin.Buffers{}
	for _, row := range rows {
		part, err := opened.Accumulate(newState(), []uint32{0}, 1, columns(input, []string{row}))
		if err != nil {
			return ran, err
		}
		group := text(row, by)
		state, known := states[group]
		if !known {
			groups, state = append(groups, group), newState()
		}
		if states[group], err = opened.Merge(state, part); err != nil {
			return ran, err
		}
	}
	for _, group := range groups {
		finished, err := opened.Finish(states[group])
		if err != nil {
			return ran, err
		}
		ran.add(opened.Output(), finished)
	}
	return ran, nil
}

// Keeper keeps states and timers of a keyed operator between turns, as the host does.
type Keeper struct {
	opened      *plugin.Opened
	keys, input plugin.Schema
	by          string
	order       []string
	states      map[string]plugin.Buffers
	timers      map[string]plugin.Timestamp
}

// Keyed opens a keyed operator whose key is the utf8 column `by`.
func Keyed(name, config, schema, by string) (*Keeper, error) {
	input, keys := Schema(schema), Schema(by+" utf8?")
	opened, err := plugin.Open(plugin.KindKeyed, name, config, keys, input)
	if err != nil {
		return nil, err
	}
	return &Keeper{opened, keys, input, by, nil, map[string]plugin.Buffers{}, map[string]plugin.Timestamp{}}, nil
}

// Turn gives it the timers that the watermark has passed, and then rows, one key a turn.
func (k *Keeper) Turn(watermark plugin.Timestamp, rows ...string) (ran Ran, err error) {
	for _, key := range k.order {
		if at, set := k.timers[key]; set && at <= watermark {
			if err := k.turn(&ran, watermark, key); err != nil {
				return ran, err
			}
		}
	}
	for _, row := range rows {
		if err := k.turn(&ran, watermark, text(row, k.by), row); err != nil {
			return ran, err
		}
	}
	return ran, nil
}

func (k *Keeper) turn(ran *Ran, watermark plugin.Timestamp, key string, rows ...string) error {
	state, known := k.states[key]
	if !known {
		k.order, state = append(k.order, key), newState()
	}
	turn := plugin.Turn{
		KeyCount: 1, Keys: columns(k.keys, []string{fmt.Sprintf("{%q:%q}", k.by, key)}), States: state,
		RowCount: len(rows), Rows: columns(k.input, rows), RowKeys: make([]uint32, len(rows)),
	}
	if at, set := k.timers[key]; set && at <= watermark {
		turn.Due = []plugin.Timer{{At: at}}
		delete(k.timers, key)
	}
	outcome, err := k.opened.Turn(plugin.Clock{BatchID: 1, Watermark: watermark, HasWatermark: true}, turn)
	if err != nil {
		return err
	}
	k.states[key] = clone(outcome.States)
	for _, timer := range outcome.Timers {
		k.timers[key] = timer.At
	}
	ran.add(k.opened.Output(), outcome.Finished)
	return nil
}

// States is how many keys have one.
func (k *Keeper) States() (count int) {
	for _, state := range k.states {
		if len(state.Validity) == 0 || state.Validity[0]&1 == 1 {
			count++
		}
	}
	return count
}

// Timers are those that are set, by key.
func (k *Keeper) Timers() map[string]plugin.Timestamp { return k.timers }

// Migrate rewrites a state of an earlier version.
func (k *Keeper) Migrate(fromVersion string, states plugin.Buffers) (plugin.Buffers, error) {
	return k.opened.Migrate(fromVersion, states)
}
