package main

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Finding a value in a document that is known to be valid, without making anything of the rest.

// value is the value that a text begins with.
func value(text []byte) []byte {
	text = bytes.TrimLeft(text, " \t\r\n")
	return text[:length(text)]
}

// length is that of the value at the beginning.
func length(text []byte) int {
	if len(text) == 0 {
		return 0
	}
	switch text[0] {
	case '"':
		return stringLength(text)
	case '{', '[':
		depth := 0
		for at := 0; ; at++ {
			switch text[at] {
			case '"':
				at += stringLength(text[at:]) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return at + 1
				}
			}
		}
	}
	if end := bytes.IndexAny(text, ",]} \t\r\n"); end >= 0 {
		return end
	}
	return len(text)
}

func stringLength(text []byte) int {
	for at := 1; ; at++ {
		switch text[at] {
		case '\\':
			at++
		case '"':
			return at + 1
		}
	}
}

// member is what a token of a pointer leads to; nothing is empty. Of members with one name it is the last.
func member(of []byte, token string) (found []byte) {
	if len(of) == 0 || of[0] != '{' && of[0] != '[' {
		return nil
	}
	index, err := strconv.ParseUint(token, 10, 31)
	isIndex := err == nil && token[0] != '+' && (token == "0" || token[0] != '0')
	for rest, i := after(of[1:]), uint64(0); len(rest) > 1; i++ {
		name := value(rest)
		if of[0] == '[' {
			if isIndex && i == index {
				return name
			}
			rest = after(rest[len(name):])
			continue
		}
		rest = after(rest[len(name):])
		member := value(rest)
		if named(name, token) {
			found = member
		}
		rest = after(rest[len(member):])
	}
	return found
}

// after skips blanks, commas and colons.
func after(text []byte) []byte { return bytes.TrimLeft(text, " \t\r\n,:") }

func named(literal []byte, token string) bool {
	if bytes.IndexByte(literal, '\\') < 0 {
		return string(literal[1:len(literal)-1]) == token
	}
	var name string
	return json.Unmarshal(literal, &name) == nil && name == token && !halves(literal)
}
