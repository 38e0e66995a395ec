package main

import "millstream/plugin"

type Hostile struct {
	Do     string `json:"do" doc:"What it does." enum:"nothing,throw,spin,grow,uneven,null,overflow,wrong-type"`
	Column string `json:"column" doc:"The text column; throw waits for bad in it."`
}

// hostile does all that an operator can do wrong, for tests of the host and of the kit.
func hostile(config Hostile, input plugin.Schema) (plugin.Transformer, error) {
	if _, err := input.Text(config.Column); err != nil {
		return plugin.Transformer{}, err
	}
	output := input
	switch config.Do {
	case "null":
		output = plugin.Schema{{Name: "out", Type: plugin.Utf8}}
	case "overflow", "wrong-type":
		output = plugin.Schema{{Name: "out", Type: plugin.Int64}}
	}
	return plugin.Transformer{Output: output, Process: func(batch *plugin.Batch, out *plugin.Output) error {
		switch config.Do {
		case "null":
			out.Text("out").AppendNull()
		case "overflow":
			out.Int64("out").AppendUint64(1 << 63)
		case "wrong-type":
			out.Append("out", "text")
		case "uneven":
			short := out.Text(config.Column)
			for range batch.Len() - 1 {
				short.Append("short")
			}
			out.Keep()
		case "spin":
			for {
			}
		case "grow":
			for memory := [][]byte{}; ; {
				memory = append(memory, make([]byte, 1<<20))
			}
		case "throw":
			for row := range batch.Rows() {
				if text, _ := row.Text(config.Column); text == "bad" {
					panic("bad")
				}
			}
			out.Keep()
		default:
			out.Keep()
		}
		return nil
	}}, nil
}
