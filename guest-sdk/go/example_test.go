package plugin_test

import (
	"fmt"

	"millstream/plugin"
	"millstream/plugin/plugintest"
)

// Length is the operator's config.
type Length struct {
	Column string `json:"column" doc:"The text column."`
}

// length is called once an instance, the function it makes once a batch.
func length(config Length, input plugin.Schema) (plugin.Transformer, error) {
	column, err := input.Text(config.Column)
	if err != nil {
		return plugin.Transformer{}, err
	}
	output, err := input.With(plugin.Field{Name: "length", Type: plugin.Int64, Nullable: true})
	return plugin.Transformer{Output: output, Process: func(batch *plugin.Batch, out *plugin.Output) error {
		texts, lengths := column.Read(batch), out.Int64("length")
		for row := range texts.Len() {
			if text, ok := texts.Get(row); ok {
				lengths.Append(int64(len(text)))
			} else {
				lengths.AppendNull()
			}
		}
		out.Keep()
		return nil
	}}, err
}

func init() {
	plugin.Transform("length", "Adds the length of a text column.", length)
}

// A transform is registered in an init function; plugintest runs it without WebAssembly.
func ExampleTransform() {
	ran, err := plugintest.Transform("length", `{"column":"t"}`, "t utf8?", `{"t":"abc"}`, `{"t":null}`)
	fmt.Println(ran.Rows, err)
	_, err = plugintest.Transform("length", `{"colum":"t"}`, "t utf8?")
	fmt.Println(err)
	// Output:
	// [{"t":"abc","length":3} {"t":null,"length":null}] <nil>
	// config has no key `colum`; did you mean `column`?
}
