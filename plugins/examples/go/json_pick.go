package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"millstream/plugin"
)

type JSONPick struct {
	Column string        `json:"column" doc:"The text column with a document a row."`
	Fields []PickedField `json:"fields" doc:"What is picked, in the order of the output."`
}

type PickedField struct {
	Name    string  `json:"name" doc:"The output column."`
	Pointer *string `json:"pointer" doc:"An RFC 6901 pointer; / and the name when left out."`
	Type    string  `json:"type" doc:"What the value has to be." enum:"boolean,int64,float64,utf8"`
}

var pickedTypes = map[string]plugin.Type{
	"boolean": plugin.Boolean, "int64": plugin.Int64, "float64": plugin.Float64, "utf8": plugin.Utf8,
}

// picked is a field, ready: its pointer in pieces.
type picked struct {
	PickedField
	pointer string
	path    []string
}

func jsonPick(config JSONPick, input plugin.Schema) (plugin.Transformer, error) {
	column, err := input.Text(config.Column)
	if err != nil {
		return plugin.Transformer{}, err
	}
	var output plugin.Schema
	var fields []picked
	for i, field := range config.Fields {
		pointer := "/" + field.Name
		if field.Pointer != nil {
			pointer = *field.Pointer
		}
		if pointer != "" && pointer[0] != '/' {
			return plugin.Transformer{}, fmt.Errorf("config.fields[%d].pointer is `%s`: a pointer is empty or begins with `/`", i, pointer)
		}
		path := strings.Split(pointer, "/")[1:]
		for i, token := range path {
			path[i] = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		}
		fields = append(fields, picked{field, pointer, path})
		output = append(output, plugin.Field{Name: field.Name, Type: pickedTypes[field.Type], Nullable: true})
	}
	return plugin.Transformer{Output: output, Process: func(batch *plugin.Batch, out *plugin.Output) error {
		documents, values := column.Read(batch), make([]any, len(fields))
		out.Build()
		for row := range documents.Len() {
			if reason := pick(documents, row, fields, values); reason != "" {
				out.Reject(row, "%s", reason)
				continue
			}
			for i, field := range fields {
				out.Append(field.Name, values[i])
			}
		}
		return nil
	}}, nil
}

// pick reads the values of a row, or says why it cannot be taken.
func pick(documents plugin.Texts, row int, fields []picked, values []any) (reason string) {
	clear(values)
	if documents.Is(row) {
		return ""
	}
	document := documents.Value(row)
	if !json.Valid(document) {
		return "not JSON"
	}
	for i, field := range fields {
		found := value(document)
		for _, token := range field.path {
			found = member(found, token)
		}
		if len(found) == 0 || found[0] == 'n' {
			continue
		}
		value, ok := typed(found, field.Type)
		if !ok {
			return fmt.Sprintf("%s is no %s", field.pointer, field.Type)
		}
		if value == nil {
			return field.pointer + " holds half of a surrogate pair, which is no text"
		}
		values[i] = value
	}
	return ""
}

// typed is a value as a type; nil, and true, for a string that is no text.
func typed(value []byte, of string) (any, bool) {
	switch first := value[0]; {
	case of == "boolean" && (first == 't' || first == 'f'):
		return first == 't', true
	case of == "utf8" && first == '"':
		var text string
		if json.Unmarshal(value, &text) != nil {
			return nil, true
		}
		// The decoder puts this character where half of a pair was.
		if strings.ContainsRune(text, utf8.RuneError) && halves(value) {
			return nil, true
		}
		return text, true
	case first != '-' && (first < '0' || first > '9'):
		return nil, false
	case of == "float64":
		// Beyond the greatest float it is infinite, with an error that says so.
		number, _ := strconv.ParseFloat(string(value), 64)
		return number, true
	case of == "int64":
		return whole(string(value))
	}
	return nil, false
}

func whole(digits string) (any, bool) {
	if !strings.ContainsAny(digits, ".eE") {
		number, err := strconv.ParseInt(digits, 10, 64)
		return number, err == nil
	}
	number, err := strconv.ParseFloat(digits, 64)
	if err != nil || number != math.Trunc(number) || math.Abs(number) > 1<<53 {
		return nil, false
	}
	return int64(number), true
}

// halves is whether a string literal has an escape of half of a surrogate pair.
func halves(literal []byte) bool {
	high := false
	for i := 0; i < len(literal); i++ {
		if literal[i] != '\\' {
			if high {
				return true
			}
			continue
		}
		i++
		if literal[i] != 'u' {
			if high {
				return true
			}
			continue
		}
		unit, _ := strconv.ParseUint(string(literal[i+1:i+5]), 16, 16)
		i += 4
		low := unit >= 0xdc00 && unit < 0xe000
		if high != low {
			return true
		}
		high = unit >= 0xd800 && unit < 0xdc00
	}
	return high
}
