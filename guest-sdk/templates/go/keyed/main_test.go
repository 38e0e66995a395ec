package main

import (
	"fmt"
	"testing"

	"millstream/plugin"
	"millstream/plugin/plugintest"
)

func TestAKeyIsToldOnceItWasSilent(t *testing.T) {
	keeper, err := plugintest.Keyed("silent", `{"time":"at","after_ms":1}`, "user utf8, at timestamp", "user")
	if err != nil {
		t.Fatal(err)
	}
	turn := func(watermark plugin.Timestamp, want string, rows ...string) {
		t.Helper()
		if ran, err := keeper.Turn(watermark, rows...); err != nil || fmt.Sprint(ran.Rows) != want {
			t.Errorf("found %v, %v, wanted %v", ran.Rows, err, want)
		}
	}
	turn(0, "[]", `{"user":"ann","at":0}`, `{"user":"bob","at":100}`, `{"user":"ann","at":500}`)
	turn(1200, `[{"user":"bob","since":100}]`)
	turn(1500, `[{"user":"ann","since":500}]`)
	if keeper.States() != 0 {
		t.Errorf("%d states are left", keeper.States())
	}
}
