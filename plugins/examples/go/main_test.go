package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"millstream/plugin"
	"millstream/plugin/plugintest"
)

func is[T any](t *testing.T, found, wanted T) {
	t.Helper()
	if fmt.Sprint(found) != fmt.Sprint(wanted) {
		t.Errorf("found\n%v\nwanted\n%v", found, wanted)
	}
}

func transform(t *testing.T, name, config, schema string, rows ...string) plugintest.Ran {
	t.Helper()
	ran, err := plugintest.Transform(name, config, schema, rows...)
	if err != nil {
		t.Fatal(err)
	}
	return ran
}

func refused(t *testing.T, name, config, schema string, wanted string) {
	t.Helper()
	_, err := plugintest.Transform(name, config, schema, `{"t":"a"}`, `{"t":"b"}`)
	is(t, fmt.Sprint(err), wanted)
}

func TestWordsAreWhatSpacesPart(t *testing.T) {
	ran := transform(t, "split-words", `{"column":"t"}`, "t utf8?", `{"t":"  To be  or\tnot "}`, `{"t":null}`, `{"t":""}`,
		`{"t":"   "}`, `{"t":"ünï\u00a0x 🦀"}`)
	is(t, ran.Rows, []string{`{"word":"To"}`, `{"word":"be"}`, `{"word":"or\tnot"}`, "{\"word\":\"ünï\u00a0x\"}", `{"word":"🦀"}`})
}

func TestWordsOfAllLengths(t *testing.T) {
	for length := 1; length < 60; length++ {
		var words []string
		for i := range 5 {
			words = append(words, strings.Repeat(string(rune('a'+i)), length+i))
		}
		ran := transform(t, "split-words", `{"column":"t","output":"w"}`, "t utf8", `{"t":"`+strings.Join(words, "  ")+`"}`, `{"t":"z"}`)
		for i, word := range append(words, "z") {
			words = append(words[:i], `{"w":"`+word+`"}`)
		}
		is(t, ran.Rows, words)
	}
}

func TestConfigsAreChecked(t *testing.T) {
	refused(t, "split-words", `{}`, "t utf8", "config: missing field `column`")
	refused(t, "split-words", `{"column":3}`, "t utf8", "config.column is the number 3, not a string")
	refused(t, "split-words", `{"column":"t","outptu":"w"}`, "t utf8", "config has no key `outptu`; did you mean `output`?")
	refused(t, "split-words", `{`, "t utf8", "config is not JSON")
	refused(t, "split-words", `{"column":"t"}`, "t int64", "the column `t` is int64, but must be utf8")
	refused(t, "split-words", `{"column":"t"}`, "s utf8", "the input has no column `t`; did you mean `s`?")
	refused(t, "json-pick", `{"column":"t","fields":[{"name":"a","type":"int"}]}`, "t utf8",
		"config.fields[0].type is `int`, which it cannot be; did you mean `int64`?")
	refused(t, "currency", `{"column":"t","rate":2,"output":"t"}`, "t float64",
		"the output would have two columns `t`; give one another name")
	refused(t, "mean", `{"column":"t"}`, "t utf8", "the operator `mean` is of the kind aggregate, not transform")
}

func TestTheSchemaFollowsFromTheStruct(t *testing.T) {
	for _, operator := range plugin.Described().Operators {
		if operator.Name == "split-words" {
			is(t, operator.ConfigSchema(), `{"additionalProperties":false,"description":"Splits text at spaces: one row a word.",`+
				`"properties":{"column":{"description":"The text column.","type":"string"},"output":{"default":"word",`+
				`"description":"The name of the output column.","type":"string"}},"required":["column"],"type":"object"}`)
		}
	}
}

func TestCurrenciesFollowIEEE(t *testing.T) {
	ran := transform(t, "currency", `{"column":"p","rate":2}`, "k utf8, p float64?", `{"k":"a","p":1.25}`, `{"k":"b","p":null}`,
		`{"k":"c","p":-0.0}`, `{"k":"d","p":1e308}`)
	is(t, ran.Rows, []string{`{"k":"a","p":1.25,"converted":2.5}`, `{"k":"b","p":null,"converted":null}`,
		`{"k":"c","p":-0,"converted":-0}`, `{"k":"d","p":1e+308,"converted":+Inf}`})
}

func TestJSONIsPickedOrRejected(t *testing.T) {
	config := `{"column":"d","fields":[{"name":"a","type":"int64"},{"name":"s","pointer":"/x~1y/1/~0","type":"utf8"}]}`
	var rows []string
	for _, document := range []string{`{"a":9007199254740993}`, `{"a":9223372036854775808}`, `NaN`, `{"a":1e3,"x/y":[0,{"~":"\u00e9\ud83e\udd80"}]}`,
		`{"a":1,"a":2} `, `{"a":1.5}`, `[1] x`, `{"x/y":[0,{"~":"\ud800"}]}`, `{"b":{"a":7},"\u0061":5}`, `[]`} {
		rows = append(rows, fmt.Sprintf(`{"d":%q}`, document))
	}
	ran := transform(t, "json-pick", config, "d utf8?", append(rows, `{"d":null}`)...)
	is(t, ran.Rows, []string{`{"a":9007199254740993,"s":null}`, `{"a":1000,"s":"é🦀"}`, `{"a":2,"s":null}`, `{"a":5,"s":null}`,
		`{"a":null,"s":null}`, `{"a":null,"s":null}`})
	is(t, ran.Rejected, []string{"1: /a is no int64", "2: not JSON", "5: /a is no int64", "6: not JSON",
		"7: /x~1y/1/~0 holds half of a surrogate pair, which is no text"})
}

func TestMeansAreByGroup(t *testing.T) {
	ran, err := plugintest.Aggregate("mean", `{"column":"n"}`, "k utf8, n int64?", "k", `{"k":"a","n":1}`, `{"k":"b","n":null}`,
		`{"k":"a","n":4}`, `{"k":"a","n":null}`)
	is(t, err, nil)
	is(t, ran.Rows, []string{`{"mean":2.5}`, `{"mean":null}`})
}

func TestSessionsOpenJoinAndEnd(t *testing.T) {
	keeper, err := plugintest.Keyed("sessions", `{"time":"at","gap_ms":1}`, "u utf8, at timestamp?", "u")
	is(t, err, nil)
	ran, _ := keeper.Turn(0, `{"u":"a","at":3000}`, `{"u":"a","at":500}`, `{"u":"b","at":null}`, `{"u":"a","at":1400}`)
	is(t, ran.Rejected, []string{"0: `at` is null"})
	ran, _ = keeper.Turn(2400)
	is(t, ran.Rows, []string{`{"u":"a","start":500,"end":1400,"count":2}`})
	is(t, keeper.States(), 1)
	ran, _ = keeper.Turn(9000)
	is(t, ran.Rows, []string{`{"u":"a","start":3000,"end":3000,"count":1}`})
	is(t, keeper.States(), 0)
	_, err = plugintest.Keyed("sessions", `{"time":"at","gap_ms":0}`, "u utf8, at timestamp", "u")
	is(t, fmt.Sprint(err), "config.gap_ms is 0: every row would be a session")
}

func TestStatesOfAnyVersionStayAsTheyAre(t *testing.T) {
	keeper, _ := plugintest.Keyed("sessions", `{"time":"at","gap_ms":1}`, "u utf8, at timestamp?", "u")
	old := plugin.Buffers{Offsets: []byte{0, 0, 0, 0, 3, 0, 0, 0}, Values: []byte("abc")}
	migrated, err := keeper.Migrate("0.0.1", old)
	is(t, err, nil)
	is(t, migrated, old)
}

func TestNothingIsAllocatedARow(t *testing.T) {
	rows := slices.Repeat([]string{`{"t":"To be or not to be"}`}, 2000)
	allocations := func(rows []string) float64 {
		run := plugintest.Prepare("split-words", `{"column":"t"}`, "t utf8", rows...)
		return testing.AllocsPerRun(10, run)
	}
	if few, many := allocations(rows[:10]), allocations(rows); many > few {
		t.Errorf("%v allocations for 10 rows, %v for 2000", few, many)
	}
}
