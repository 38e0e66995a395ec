package plugintest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"millstream/plugin"
)

// parse reads a row; it panics on one that is no JSON object.
func parse(row string) map[string]any {
	decoder := json.NewDecoder(strings.NewReader(row))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		panic(fmt.Sprintf("the row %s: %s", row, err))
	}
	return object
}

func text(row, column string) string {
	text, _ := parse(row)[column].(string)
	return text
}

// columns are rows as the host hands them over.
func columns(schema plugin.Schema, rows []string) []plugin.Buffers {
	made := make([]plugin.Buffers, len(schema))
	for i, field := range schema {
		made[i] = column(field, rows)
	}
	return made
}

func column(field plugin.Field, rows []string) (made plugin.Buffers) {
	made.Offsets = []byte{}
	if field.Type == plugin.Utf8 || field.Type == plugin.Binary {
		made.Offsets = binary.LittleEndian.AppendUint32(nil, 0)
	}
	valid := bytes.Repeat([]byte{0xff}, (len(rows)+7)/8)
	nulls := false
	for row, text := range rows {
		value := parse(text)[field.Name]
		if value == nil {
			nulls = true
			valid[row>>3] &^= 1 << (row & 7)
		}
		number, _ := value.(json.Number)
		whole, _ := strconv.ParseInt(string(number), 10, 64)
		float, _ := strconv.ParseFloat(string(number), 64)
		switch field.Type {
		case plugin.Boolean:
			if row&7 == 0 {
				made.Values = append(made.Values, 0)
			}
			if value == true {
				made.Values[row>>3] |= 1 << (row & 7)
			}
		case plugin.Utf8, plugin.Binary:
			text, _ := value.(string)
			made.Values = append(made.Values, text...)
			made.Offsets = binary.LittleEndian.AppendUint32(made.Offsets, uint32(len(made.Values)))
		case plugin.Int32, plugin.DateDays:
			made.Values = binary.LittleEndian.AppendUint32(made.Values, uint32(whole))
		case plugin.Float32:
			made.Values = binary.LittleEndian.AppendUint32(made.Values, math.Float32bits(float32(float)))
		case plugin.Float64:
			made.Values = binary.LittleEndian.AppendUint64(made.Values, math.Float64bits(float))
		default:
			made.Values = binary.LittleEndian.AppendUint64(made.Values, uint64(whole))
		}
	}
	if nulls {
		made.Validity = valid
	}
	return made
}

func clone(column plugin.Buffers) plugin.Buffers {
	return plugin.Buffers{
		Validity: slices.Clone(column.Validity), Offsets: slices.Clone(column.Offsets), Values: slices.Clone(column.Values),
	}
}

// rows are columns as JSON objects.
func rows(schema plugin.Schema, finished plugin.Finished) []string {
	made := make([]string, finished.Rows)
	for row := range made {
		members := make([]string, len(schema))
		for i, field := range schema {
			name, _ := json.Marshal(field.Name)
			members[i] = string(name) + ":" + value(field.Type, finished.Columns[i], row)
		}
		made[row] = "{" + strings.Join(members, ",") + "}"
	}
	return made
}

func value(of plugin.Type, column plugin.Buffers, row int) string {
	if len(column.Validity) > 0 && column.Validity[row>>3]>>(row&7)&1 == 0 {
		return "null"
	}
	word := func() uint32 { return binary.LittleEndian.Uint32(column.Values[4*row:]) }
	long := func() uint64 { return binary.LittleEndian.Uint64(column.Values[8*row:]) }
	switch of {
	case plugin.Boolean:
		return strconv.FormatBool(column.Values[row>>3]>>(row&7)&1 == 1)
	case plugin.Utf8, plugin.Binary:
		start, end := binary.LittleEndian.Uint32(column.Offsets[4*row:]), binary.LittleEndian.Uint32(column.Offsets[4*row+4:])
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		_ = encoder.Encode(string(column.Values[start:end]))
		return strings.TrimSpace(text.String())
	case plugin.Int32, plugin.DateDays:
		return strconv.FormatInt(int64(int32(word())), 10)
	case plugin.Float32:
		return strconv.FormatFloat(float64(math.Float32frombits(word())), 'g', -1, 32)
	case plugin.Float64:
		return strconv.FormatFloat(math.Float64frombits(long()), 'g', -1, 64)
	default:
		return strconv.FormatInt(int64(long()), 10)
	}
}
