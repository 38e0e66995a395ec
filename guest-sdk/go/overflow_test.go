package plugin_test

import (
	"fmt"
	"math"
	"testing"

	"millstream/plugin"
	"millstream/plugin/plugintest"
)

// wide appends a number of a wider type to a column `out`, behind a row that fits.
type wide struct {
	Of   string `json:"of"`
	Way  string `json:"way" enum:"signed,unsigned,int,uint64"`
	High bool   `json:"high" default:"true"`
}

func openWide(config wide, _ plugin.Schema) (plugin.Transformer, error) {
	output := plugintest.Schema("out " + config.Of)
	return plugin.Transformer{Output: output, Process: func(_ *plugin.Batch, out *plugin.Output) error {
		greatest := uint64(math.MaxInt32)
		if of := output[0].Type; of != plugin.Int32 && of != plugin.DateDays {
			greatest = math.MaxInt64
		}
		for beyond := range uint64(2) {
			number := greatest + beyond
			signed := int64(number)
			if !config.High {
				signed = math.MinInt32 - int64(beyond)
			}
			switch {
			case config.Way == "int":
				out.Append("out", int(signed))
			case config.Way == "uint64":
				out.Append("out", number)
			case config.Of == "int32":
				add(plugin.Set[int32](out, "out"), config.Way, signed, number)
			case config.Of == "date":
				add(plugin.Set[plugin.Date](out, "out"), config.Way, signed, number)
			case config.Of == "timestamp":
				add(out.Timestamp("out"), config.Way, signed, number)
			case config.Of == "float64":
				add(out.Float64("out"), config.Way, signed, number)
			default:
				add(out.Int64("out"), config.Way, signed, number)
			}
		}
		return nil
	}}, nil
}

func add[T plugin.Number](to plugin.NumberBuilder[T], way string, signed int64, unsigned uint64) {
	if way == "signed" {
		to.AppendInt64(signed)
	} else {
		to.AppendUint64(unsigned)
	}
}

func init() { plugin.Transform("wide", "Appends wider numbers.", openWide) }

func TestANumberThatDoesNotFitNamesColumnAndRow(t *testing.T) {
	overflow := func(number, of string) string {
		return "operator `wide`: column `out`, row 1: overflow: " + number + " does not fit a column of " + of
	}
	for config, wanted := range map[string]string{
		`"of":"int32","way":"signed"`:                overflow("2147483648", "int32"),
		`"of":"int32","way":"unsigned"`:              overflow("2147483648", "int32"),
		`"of":"int32","way":"int"`:                   overflow("2147483648", "int32"),
		`"of":"int32","way":"uint64"`:                overflow("2147483648", "int32"),
		`"of":"int32","way":"signed","high":false`:   overflow("-2147483649", "int32"),
		`"of":"date","way":"signed"`:                 overflow("2147483648", "date"),
		`"of":"date","way":"unsigned"`:               overflow("2147483648", "date"),
		`"of":"int64","way":"unsigned"`:              overflow("9223372036854775808", "int64"),
		`"of":"int64","way":"uint64"`:                overflow("9223372036854775808", "int64"),
		`"of":"timestamp","way":"unsigned"`:          overflow("9223372036854775808", "timestamp"),
		`"of":"int64","way":"signed","high":false`:   "<nil>",
		`"of":"float64","way":"unsigned"`:            "<nil>",
		`"of":"float64","way":"signed","high":false`: "<nil>",
		`"of":"int64","way":"int","high":false`:      "<nil>",
	} {
		_, err := plugintest.Transform("wide", "{"+config+"}", "s utf8", `{"s":"a"}`, `{"s":"b"}`)
		is(t, fmt.Sprint(config, " ", err), fmt.Sprint(config, " ", wanted))
	}
}
