package main

import (
	"slices"
	"testing"

	"millstream/plugin/plugintest"
)

func TestSharesAreByGroup(t *testing.T) {
	ran, err := plugintest.Aggregate("share", `{"column":"late"}`, "shop utf8, late boolean?", "shop",
		`{"shop":"a","late":true}`, `{"shop":"b","late":null}`, `{"shop":"a","late":false}`)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{`{"share":0.5}`, `{"share":null}`}; !slices.Equal(ran.Rows, want) {
		t.Errorf("found %v, wanted %v", ran.Rows, want)
	}
}
