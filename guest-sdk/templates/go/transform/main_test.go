package main

import (
	"slices"
	"testing"

	"millstream/plugin/plugintest"
)

func TestPricesAreConvertedNullsStayAndWhatIsBelowZeroIsRejected(t *testing.T) {
	ran, err := plugintest.Transform("convert", `{"column":"price","rate":3}`, "price float64?", `{"price":2}`, `{"price":-1}`, `{"price":null}`)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{`{"price":2,"converted":6}`, `{"price":null,"converted":null}`}; !slices.Equal(ran.Rows, want) {
		t.Errorf("found %v, wanted %v", ran.Rows, want)
	}
	if want := []string{"1: the price is -1"}; !slices.Equal(ran.Rejected, want) {
		t.Errorf("found %v, wanted %v", ran.Rejected, want)
	}
}
