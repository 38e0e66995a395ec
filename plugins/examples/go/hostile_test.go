package main

import (
	"fmt"
	"testing"

	"millstream/plugin"
	"millstream/plugin/plugintest"
)

func TestMistakesAreErrorsThatNameThePlace(t *testing.T) {
	for deed, wanted := range map[string]string{
		"nothing":    "<nil>",
		"throw":      "operator `hostile`: column `t`, row 1: panic: bad",
		"uneven":     "operator `hostile`: column `t`, row 2: the output column has 2 rows, but the rows kept 3",
		"null":       "operator `hostile`: column `out`, row 2: a null, but the output schema says that the column has none",
		"overflow":   "operator `hostile`: column `out`, row 2: overflow: 9223372036854775808 does not fit a column of int64",
		"wrong-type": "operator `hostile`: column `out`, row 0: text was pushed into a column of int64",
	} {
		_, err := plugintest.Transform("hostile", `{"do":"`+deed+`","column":"t"}`, "t utf8?", `{"t":null}`, `{"t":"bad"}`, `{"t":"c"}`)
		is(t, fmt.Sprint(err), wanted)
	}
}

func TestNoRowsAreNoMistake(t *testing.T) {
	for _, deed := range []string{"throw", "null", "overflow", "wrong-type"} {
		_, err := plugintest.Transform("hostile", `{"do":"`+deed+`","column":"t"}`, "t utf8?")
		is(t, err, nil)
	}
}

func TestWhatIsToldIsHeard(t *testing.T) {
	plugin.Heard = nil
	ran := transform(t, "hostile", `{"do":"tell","column":"t"}`, "t utf8", `{"t":"a"}`, `{"t":"b"}`)
	is(t, ran.Rows, []string{`{"t":"a"}`, `{"t":"b"}`})
	is(t, plugin.Heard, []string{"log 2 2 rows", "count told 2", "observe share 0.5"})
}

func TestAggregatesThatBreakAreErrors(t *testing.T) {
	for deed, wanted := range map[string]string{
		"nothing":      "[{\"n\":2} {\"n\":1}] <nil>",
		"throw":        "[] operator `hostile-sum`: column `t`, row 0: panic: bad",
		"throw-merge":  "[] operator `hostile-sum`: panic: bad",
		"throw-finish": "[] operator `hostile-sum`: panic: bad",
		"null":         "[] operator `hostile-sum`: column `n`, row 0: a null, but the output schema says that the column has none",
		"overflow":     "[] operator `hostile-sum`: column `n`, row 0: overflow: 9223372036854775808 does not fit a column of int64",
	} {
		ran, err := plugintest.Aggregate("hostile-sum", `{"do":"`+deed+`","column":"t"}`, "k utf8, t utf8?", "k",
			`{"k":"a","t":null}`, `{"k":"b","t":"c"}`, `{"k":"a","t":"bad"}`)
		is(t, fmt.Sprint(ran.Rows, err), wanted)
	}
}

func TestKeyedOperatorsThatBreakAreErrors(t *testing.T) {
	const counted = `[{"k":"a","n":1} {"k":"b","n":1} {"k":"a","n":2}] <nil>`
	for deed, wanted := range map[string]string{
		"nothing":     counted + ", then [] <nil>",
		"throw":       `[{"k":"a","n":1} {"k":"b","n":1}] ` + "operator `hostile-keyed`: column `t`, row 0: panic: bad, then [] <nil>",
		"throw-timer": counted + ", then [] operator `hostile-keyed`: panic: bad",
		"null": "[] operator `hostile-keyed`: column `n`, row 0: a null, but the output schema says that the column has none, " +
			"then [] <nil>",
		"overflow": "[] operator `hostile-keyed`: column `n`, row 0: overflow: 9223372036854775808 does not fit a column of int64, " +
			"then [] <nil>",
	} {
		keeper, err := plugintest.Keyed("hostile-keyed", `{"do":"`+deed+`","column":"t","time":"at"}`,
			"k utf8, t utf8?, at timestamp?", "k")
		is(t, err, nil)
		ran, err := keeper.Turn(0, `{"k":"a","t":null,"at":5}`, `{"k":"b","t":"c","at":null}`, `{"k":"a","t":"bad","at":7}`)
		later, laterErr := keeper.Turn(1006)
		is(t, fmt.Sprint(later.Rows, laterErr), "[] <nil>")
		later, laterErr = keeper.Turn(1007)
		is(t, fmt.Sprintf("%v %v, then %v %v", ran.Rows, err, later.Rows, laterErr), wanted)
	}
}
