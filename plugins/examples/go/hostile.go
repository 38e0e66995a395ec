package main

import (
	"fmt"
	"os"
	"sync"

	"millstream/plugin"
)

type Hostile struct {
	Do     string `json:"do" doc:"What it does." enum:"nothing,throw,spin,grow,recurse,fatal,uneven,null,overflow,wrong-type,tell"`
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
		case "throw":
			for row := range batch.Rows() {
				if text, _ := row.Text(config.Column); text == "bad" {
					panic("bad")
				}
			}
			out.Keep()
		case "tell":
			rows := batch.Len()
			plugin.Log(plugin.Info, "%d rows", rows)
			plugin.Count("told", uint64(rows))
			plugin.Observe("share", 0.5)
			out.Keep()
		case "uneven", "null", "overflow", "wrong-type":
			answerWrongly(config, batch.Len(), out)
		default:
			breakFatally(config.Do)
			out.Keep()
		}
		return nil
	}}, nil
}

// answerWrongly builds a column in which the last row is wrong.
func answerWrongly(config Hostile, rows int, out *plugin.Output) {
	out.Build()
	for row := range rows {
		isLast := row == rows-1
		switch config.Do {
		case "uneven":
			if !isLast {
				out.Text(config.Column).Append("short")
			}
			out.Keep()
		case "null":
			if isLast {
				out.Text("out").AppendNull()
			} else {
				out.Text("out").Append("there")
			}
		case "overflow":
			if isLast {
				out.Int64("out").AppendUint64(1 << 63)
			} else {
				out.Int64("out").AppendUint64(1)
			}
		case "wrong-type":
			out.Append("out", "text")
		}
	}
}

// breakFatally does what no panic comes of, so that the kit cannot catch it.
func breakFatally(do string) {
	switch do {
	case "spin":
		for {
		}
	case "grow":
		for memory := [][]byte{}; ; {
			memory = append(memory, make([]byte, 1<<20))
		}
	case "recurse":
		recurse(0)
	case "fatal":
		fmt.Fprintln(os.Stderr, "the end")
		var mutex sync.Mutex
		mutex.Lock()
		mutex.Unlock()
		mutex.Unlock()
	}
}

// recurse adds to what it gets back, so that it is no loop.
func recurse(depth int) int { return recurse(depth+1) + 1 }
