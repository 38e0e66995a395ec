package main

import (
	"encoding/binary"
	"math/bits"

	"millstream/plugin"
)

type SplitWords struct {
	Column string `json:"column" doc:"The text column."`
	Output string `json:"output" doc:"The name of the output column." default:"word"`
}

func splitWords(config SplitWords, input plugin.Schema) (plugin.Transformer, error) {
	column, err := input.Text(config.Column)
	if err != nil {
		return plugin.Transformer{}, err
	}
	output := plugin.Schema{{Name: config.Output, Type: plugin.Utf8}}
	return plugin.Transformer{Output: output, Process: func(batch *plugin.Batch, out *plugin.Output) error {
		texts, words := column.Read(batch), out.Text(config.Output)
		bytes := int(texts.Offsets[texts.Len()])
		// Words and spaces take turns: there are no more words than this.
		values, offsets := words.Buffers(bytes/2+texts.Len(), bytes+slack)
		to := builder{values, offsets, 0, 0}
		for row := range texts.Len() {
			if !texts.Is(row) {
				to.split(texts.Bytes[:bytes], int(texts.Offsets[row]), int(texts.Offsets[row+1]))
			}
		}
		words.Filled(to.words)
		return nil
	}}, nil
}

// slack is how much is written behind a word that is copied sixteen bytes at a time.
const slack = 16

type builder struct {
	values  []byte
	offsets []uint32
	words   int
	used    int
}

const (
	spaces = 0x2020202020202020
	low    = 0x7f7f7f7f7f7f7f7f
)

// split adds the words between two places of the text, looking at eight bytes at a time.
func (b *builder) split(text []byte, at, end int) {
	values, offsets, words, used := b.values, b.offsets, b.words, b.used
	word := at
	for ; at < end; at += 8 {
		var eight uint64
		if at+8 <= len(text) {
			eight = binary.LittleEndian.Uint64(text[at : at+8])
		} else {
			var last [8]byte
			copy(last[:], text[at:])
			eight = binary.LittleEndian.Uint64(last[:])
		}
		// The top bit of each byte that is a space.
		differ := eight ^ spaces
		found := ^((differ&low + low) | differ | low)
		for ; found != 0; found &= found - 1 {
			space := at + bits.TrailingZeros64(found)>>3
			if space >= end {
				break
			}
			if length := space - word; length > 0 {
				if from := text[word:]; length <= 16 && len(from) >= 16 {
					to := values[used : used+16]
					binary.LittleEndian.PutUint64(to, binary.LittleEndian.Uint64(from))
					binary.LittleEndian.PutUint64(to[8:], binary.LittleEndian.Uint64(from[8:]))
				} else {
					copy(values[used:], text[word:space])
				}
				used += length
				words++
				offsets[words] = uint32(used)
			}
			word = space + 1
		}
	}
	if end > word {
		used += copy(values[used:], text[word:end])
		words++
		offsets[words] = uint32(used)
	}
	b.words, b.used = words, used
}
