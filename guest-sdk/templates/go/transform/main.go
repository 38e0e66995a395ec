// Converts prices. A price below zero is handed back with the reason: it becomes a dead letter, and the rows around it
// go on.
package main

import "millstream/plugin"

// Convert is the operator's config.
type Convert struct {
	Column string  `json:"column" doc:"The float64 column of prices."`
	Rate   float64 `json:"rate" doc:"What one of them is worth."`
}

// convert is called once for each instance: it finds the input's columns and says what comes out.
func convert(config Convert, input plugin.Schema) (plugin.Transformer, error) {
	column, err := input.Float64(config.Column)
	if err != nil {
		return plugin.Transformer{}, err
	}
	output, err := input.With(plugin.Field{Name: "converted", Type: plugin.Float64, Nullable: true})
	// Called for each batch.
	process := func(batch *plugin.Batch, out *plugin.Output) error {
		prices, converted := column.Read(batch), out.Float64("converted")
		for row := range batch.Len() {
			switch price, ok := prices.Get(row); {
			case !ok:
				converted.AppendNull()
			case price < 0:
				out.Reject(row, "the price is %v", price)
			default:
				converted.Append(price * config.Rate)
			}
		}
		out.Keep()
		return nil
	}
	return plugin.Transformer{Output: output, Process: process}, err
}

func init() {
	plugin.Describe("{{name}}", "0.1.0", "Prices.")
	plugin.Transform("convert", "Adds converted prices.", convert)
}

func main() {}
