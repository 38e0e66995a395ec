package plugin_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"millstream/plugin"
	"millstream/plugin/plugintest"
)

type tries struct {
	Way   string   `json:"way" enum:"rows,skip,twice,forget,beyond,types,error,panic"`
	On    bool     `json:"on" default:"true"`
	Names []string `json:"names" optional:"true"`
	Parts []part   `json:"parts" optional:"true"`
	Many  int64    `json:"many" default:"3"`
	Maybe *float64 `json:"maybe"`
}

type part struct {
	Name  string  `json:"name"`
	Share float64 `json:"share" min:"0" max:"1"`
}

func open(config tries, input plugin.Schema) (plugin.Transformer, error) {
	output := input.Clone()
	switch config.Way {
	case "types":
		output = append(output, plugintest.Schema("i int32?, f float32?, b boolean?, t timestamp?, z binary?, d date?")...)
	case "forget":
		output = append(output, plugin.Field{Name: "new", Type: plugin.Int64})
	}
	return plugin.Transformer{Output: output, Process: func(batch *plugin.Batch, out *plugin.Output) error {
		switch config.Way {
		case "rows":
			out.KeepRows([]uint32{2, 0, 0, 1})
			return nil
		case "beyond":
			out.KeepRows([]uint32{99})
		case "error":
			return errors.New("not today")
		}
		for row := range batch.Rows() {
			text, ok := row.Text("s")
			switch {
			case config.Way == "panic" && !ok:
				var nothing []int
				_ = nothing[row.Index()]
			case config.Way == "skip" && !ok:
				out.Skip(row.Index())
			case config.Way == "twice" && ok:
				out.Reject(row.Index(), "%s", text)
				out.Reject(row.Index(), "again")
			case config.Way == "types":
				values(row.Index(), out)
			}
		}
		out.Keep()
		return nil
	}}, nil
}

func values(row int, out *plugin.Output) {
	names := []string{"i", "f", "b", "t", "z", "d"}
	values := []any{-int32(row), float32(row) / 2, row%2 == 0, plugin.Timestamp(row), []byte("bytes")[:row], plugin.Date(row)}
	for i, name := range names {
		if row%3 == 2 {
			out.Append(name, nil)
		} else {
			out.Append(name, values[i])
		}
	}
}

// longest keeps a state that is JSON; the map shows that equal states are written alike.
type longest struct{ Texts map[string]int }

func openLongest(_ struct{}, input plugin.Schema) (plugin.Aggregator[longest], error) {
	column, err := input.Text("s")
	return plugin.Aggregator[longest]{
		Output: plugintest.Schema("texts int64"),
		Accumulate: func(states []longest, groups []uint32, batch *plugin.Batch) error {
			for row, text := range column.Read(batch).All() {
				state := &states[groups[row]]
				if state.Texts == nil {
					state.Texts = map[string]int{}
				}
				state.Texts[strings.Clone(text)]++
			}
			return nil
		},
		Merge: func(states, others []longest) error {
			for i, other := range others {
				for text, n := range other.Texts {
					if states[i].Texts == nil {
						states[i].Texts = map[string]int{}
					}
					states[i].Texts[text] += n
				}
			}
			return nil
		},
		Finish: func(states []longest, out *plugin.Output) error {
			texts := out.Int64("texts")
			for _, state := range states {
				texts.Append(int64(len(state.Texts)))
			}
			return nil
		},
	}, err
}

func openCount(_ struct{}, _ plugin.Schema) (plugin.Aggregator[int64], error) {
	add := func(sign int64) func(states, others []int64) error {
		return func(states, others []int64) error {
			for i, other := range others {
				states[i] += sign * other
			}
			return nil
		}
	}
	return plugin.Aggregator[int64]{
		Output: plugintest.Schema("count int64"),
		Accumulate: func(states []int64, groups []uint32, _ *plugin.Batch) error {
			for _, group := range groups {
				states[group]++
			}
			return nil
		},
		Merge: add(1), Retract: add(-1),
		Finish: func(states []int64, out *plugin.Output) error {
			copy(out.Int64("count").Extend(len(states)), states)
			return nil
		},
	}, nil
}

// hidden cannot be kept: JSON would leave out what is inside.
type hidden struct{ Parts []struct{ text string } }

func openHidden(_ struct{}, _ plugin.Schema) (plugin.Aggregator[hidden], error) {
	return plugin.Aggregator[hidden]{Output: plugintest.Schema("n int64")}, nil
}

func init() {
	plugin.Describe("kit-tests", "0.1.0", "Tries the kit.")
	plugin.Transform("tries", "Tries the kit.", open)
	plugin.Aggregate("texts", "How many texts there are.", openLongest)
	plugin.Aggregate("count", "How many rows.", openCount, plugin.Retracts)
	plugin.Aggregate("hidden", "Loses what it remembers.", openHidden)
}

func is(t *testing.T, found, wanted any) {
	t.Helper()
	if fmt.Sprint(found) != fmt.Sprint(wanted) {
		t.Errorf("found\n%v\nwanted\n%v", found, wanted)
	}
}

var rows = []string{`{"s":"a","n":1}`, `{"s":null,"n":null}`, `{"s":"é","n":9007199254740993}`}

func try(way string) (plugintest.Ran, error) {
	return plugintest.Transform("tries", `{"way":"`+way+`"}`, "s utf8?, n int64?", rows...)
}

func TestRowsAreKeptRepeatedSkippedAndRejectedOnce(t *testing.T) {
	ran, _ := try("rows")
	is(t, ran.Rows, []string{rows[2], rows[0], rows[0], rows[1]})
	ran, _ = try("skip")
	is(t, ran.Rows, []string{rows[0], rows[2]})
	ran, _ = try("twice")
	is(t, ran.Rows, []string{rows[1]})
	is(t, ran.Rejected, []string{"0: a", "2: é"})
	_, err := try("beyond")
	is(t, err, "operator `tries`: row 99: it cannot be kept: the input has 3 rows")
}

func TestMistakesNameOperatorColumnAndRow(t *testing.T) {
	_, err := try("forget")
	is(t, err, "operator `tries`: column `new`: the output column was neither set nor kept")
	_, err = try("error")
	is(t, err, "operator `tries`: not today")
	_, err = try("panic")
	is(t, err, "operator `tries`: column `s`, row 1: panic: runtime error: index out of range [1] with length 0")
	_, err = plugintest.Transform("tries", `{"way":"skip"}`, "n int64", `{"n":1}`)
	is(t, err, "operator `tries`: column `s`, row 0: the input has no column `s`; did you mean `n`?")
}

func TestColumnsOfAllTypesHaveNulls(t *testing.T) {
	ran, err := plugintest.Transform("tries", `{"way":"types"}`, "s utf8?", "{}", "{}", "{}", "{}")
	is(t, err, nil)
	is(t, ran.Rows, []string{
		`{"s":null,"i":0,"f":0,"b":true,"t":0,"z":"","d":0}`, `{"s":null,"i":-1,"f":0.5,"b":false,"t":1,"z":"b","d":1}`,
		`{"s":null,"i":null,"f":null,"b":null,"t":null,"z":null,"d":null}`, `{"s":null,"i":-3,"f":1.5,"b":false,"t":3,"z":"byt","d":3}`,
	})
}

func TestConfigsHaveArraysBoundsAndDefaults(t *testing.T) {
	for config, wanted := range map[string]string{
		`{"way":"skip","on":null,"names":["a"],"parts":[{"name":"x","share":0.25}],"maybe":1}`: "<nil>",
		`{"way":"skip","names":["a",1]}`:                  "config.names[1] is the number 1, not a string",
		`{"way":"skip","parts":[{"name":"x","share":2}]}`: "config.parts[0].share is 2; it has to be at most 1",
		`{"way":"skip","parts":[{"nam":"x"}]}`:            "config.parts[0] has no key `nam`; did you mean `name`?",
		`{"way":"skip","many":1.5}`:                       "config.many is the number 1.5, not a whole number",
		`{"way":"skip","Many":1}`:                         "config has no key `Many`; did you mean `many`?",
		`{"way":"ski"}`:                                   "config.way is `ski`, which it cannot be; did you mean `skip`?",
		`{"way":null}`:                                    "config.way is null, not a string",
		`[]`:                                              "config is an array, not an object",
		`{} x`:                                            "config is not JSON",
		``:                                                "config: missing field `way`",
	} {
		_, err := plugin.Open(plugin.KindTransform, "tries", config, nil, plugintest.Schema("s utf8"))
		is(t, err, wanted)
	}
}

func TestStatesMayBeOfAnyType(t *testing.T) {
	ran, err := plugintest.Aggregate("texts", "", "k utf8, s utf8?", "k", `{"k":"a","s":"x"}`, `{"k":"b","s":null}`,
		`{"k":"a","s":"y"}`, `{"k":"a","s":"x"}`)
	is(t, err, nil)
	is(t, ran.Rows, []string{`{"texts":2}`, `{"texts":0}`})
}

func TestAStateOfAnotherVersionIsAnError(t *testing.T) {
	opened, err := plugin.Open(plugin.KindAggregate, "texts", "", nil, plugintest.Schema("s utf8"))
	is(t, err, nil)
	_, err = opened.Finish(plugin.Buffers{Offsets: []byte{0, 0, 0, 0, 1, 0, 0, 0}, Values: []byte("?")})
	is(t, err, "operator `texts`: state 0 cannot be read: invalid character '?' looking for beginning of value")
}

func TestStatesAreMergedAndRetractedPairByPair(t *testing.T) {
	opened, err := plugin.Open(plugin.KindAggregate, "count", "", nil, nil)
	is(t, err, nil)
	counts := func(first, second byte) plugin.Buffers {
		values := make([]byte, 16)
		values[0], values[8] = first, second
		return plugin.Buffers{Offsets: []byte{0, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0, 0}, Values: values}
	}
	merged, err := opened.Merge(counts(1, 2), counts(10, 20))
	is(t, err, nil)
	is(t, merged, counts(11, 22))
	left, err := opened.Retract(merged, counts(1, 2))
	is(t, err, nil)
	is(t, left, counts(10, 20))
	texts, _ := plugin.Open(plugin.KindAggregate, "texts", "", nil, plugintest.Schema("s utf8"))
	null := plugin.Buffers{Validity: []byte{0}, Offsets: make([]byte, 8)}
	_, err = texts.Retract(null, null)
	is(t, err, "operator `texts`: this aggregate cannot take out what was put in")
}

func TestAStateThatWouldLoseSomethingIsRefused(t *testing.T) {
	_, err := plugin.Open(plugin.KindAggregate, "hidden", "", nil, nil)
	is(t, err, "the state plugin_test.hidden is kept as JSON, which has no place for the field text: give it a name that begins with a capital")
}
