package main

import "millstream/plugin"

type Currency struct {
	Column string  `json:"column" doc:"The float64 column."`
	Rate   float64 `json:"rate" doc:"What each value is multiplied by."`
	Output string  `json:"output" doc:"The name of the new column." default:"converted"`
}

func currency(config Currency, input plugin.Schema) (plugin.Transformer, error) {
	column, err := input.Float64(config.Column)
	if err != nil {
		return plugin.Transformer{}, err
	}
	output, err := input.With(plugin.Field{Name: config.Output, Type: plugin.Float64, Nullable: true})
	if err != nil {
		return plugin.Transformer{}, err
	}
	return plugin.Transformer{Output: output, Process: func(batch *plugin.Batch, out *plugin.Output) error {
		prices, builder := column.Read(batch), out.Float64(config.Output)
		converted := builder.Extend(batch.Len())
		for row, price := range prices.Values {
			converted[row] = price * config.Rate
		}
		builder.Nulls(prices.Nulls)
		out.Keep()
		return nil
	}}, nil
}
