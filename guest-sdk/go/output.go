package plugin

import (
	"cmp"
	"fmt"
	"slices"
)

// Output collects what is made of a batch. Each column of the output schema comes either from a builder or from a
// kept input; lengths are checked at the end.
type Output struct {
	schema   Schema
	builders []*builder
	input    *Batch
	kept     bool
	keptRows []uint32
	someRows bool
	leftOut  []int
	rejected []Rejection
}

// Rejection is an input row that the operator could not take.
type Rejection struct {
	Row    int
	Reason string
}

// Finished is a finished output.
type Finished struct {
	Rows     int
	Columns  []Buffers
	Rejected []Rejection
}

func (o *Output) begin(schema Schema, input *Batch) {
	o.schema, o.input = schema, input
	o.kept, o.someRows, o.keptRows = false, false, nil
	o.leftOut, o.rejected = o.leftOut[:0], o.rejected[:0]
	for len(o.builders) < len(schema) {
		o.builders = append(o.builders, new(builder))
	}
	for i, field := range schema {
		o.builders[i].begin(field)
	}
}

func (o *Output) builder(name string, pushed string, wanted ...Type) *builder {
	index := o.schema.Index(name)
	if index < 0 {
		known := make([]string, len(o.schema))
		for i, field := range o.schema {
			known[i] = field.Name
		}
		fail(name, -1, "the output has no such column; %s", nearest(name, known))
	}
	builder := o.builders[index]
	if !slices.Contains(wanted, builder.field.Type) {
		fail(name, builder.rows, "%s was pushed into a column of %s", pushed, builder.field.Type)
	}
	builder.started = true
	return builder
}

// Set is the builder of a column of numbers.
func Set[T Number](o *Output, name string) NumberBuilder[T] {
	wanted := typesOf[T]()
	return NumberBuilder[T]{o.builder(name, wanted[0].String(), wanted...)}
}

// Int64 is the builder of an int64 column.
func (o *Output) Int64(name string) NumberBuilder[int64] { return Set[int64](o, name) }

// Float64 is the builder of a float64 column.
func (o *Output) Float64(name string) NumberBuilder[float64] { return Set[float64](o, name) }

// Timestamp is the builder of a timestamp column.
func (o *Output) Timestamp(name string) NumberBuilder[Timestamp] { return Set[Timestamp](o, name) }

// Boolean is the builder of a boolean column.
func (o *Output) Boolean(name string) BooleanBuilder {
	return BooleanBuilder{o.builder(name, "boolean", Boolean)}
}

// Text is the builder of a utf8 or binary column.
func (o *Output) Text(name string) TextBuilder {
	return TextBuilder{o.builder(name, "text", Utf8, Binary)}
}

// Append adds a value to a column of any type: a bool, a string, []byte, one of the types of [Number], or nil for a
// null. An int or a uint64 goes into a column of int64 or int32, and the call fails where it does not fit. Row by row
// it is easier than the builders, and slower.
func (o *Output) Append(name string, value any) {
	index := o.schema.Index(name)
	if index >= 0 && value == nil {
		o.builders[index].started = true
		appendNull(o.builders[index])
		return
	}
	switch value := value.(type) {
	case bool:
		o.Boolean(name).Append(value)
	case string:
		o.Text(name).Append(value)
	case []byte:
		o.Text(name).AppendBytes(value)
	case int:
		if o.isNarrow(index) {
			Set[int32](o, name).AppendInt64(int64(value))
			return
		}
		o.Int64(name).Append(int64(value))
	case uint64:
		if o.isNarrow(index) {
			Set[int32](o, name).AppendUint64(value)
			return
		}
		o.Int64(name).AppendUint64(value)
	case int32:
		Set[int32](o, name).Append(value)
	case int64:
		o.Int64(name).Append(value)
	case float32:
		Set[float32](o, name).Append(value)
	case float64:
		o.Float64(name).Append(value)
	case Timestamp:
		o.Timestamp(name).Append(value)
	case Date:
		Set[Date](o, name).Append(value)
	default:
		fail(name, -1, "a %T is no value of a column", value)
	}
}

func (o *Output) isNarrow(index int) bool { return index >= 0 && o.schema[index].Type == Int32 }

func appendNull(b *builder) {
	switch b.field.Type {
	case Utf8, Binary:
		TextBuilder{b}.AppendNull()
	case Boolean:
		BooleanBuilder{b}.AppendNull()
	default:
		b.null()
		width := b.field.Type.width()
		for range width {
			b.values = append(b.values, 0)
		}
		b.rows++
	}
}

// Keep keeps the input: its columns become those of the same name and type that were not built, without the rows
// rejected or skipped. Nothing is copied when all rows stay.
func (o *Output) Keep() {
	o.needsInput()
	o.kept = true
}

// KeepRows is [Output.Keep] with row i of the output being row rows[i] of the input: filters and flat maps.
func (o *Output) KeepRows(rows []uint32) {
	o.needsInput()
	for _, row := range rows {
		if int(row) >= o.input.rows {
			fail("", int(row), "it cannot be kept: the input has %d rows", o.input.rows)
		}
	}
	o.kept, o.someRows, o.keptRows = true, true, rows
}

// Reject hands an input row back to the host as a dead letter. Push no output for it.
func (o *Output) Reject(row int, format string, arguments ...any) {
	reason := format
	if len(arguments) > 0 {
		reason = fmt.Sprintf(format, arguments...)
	}
	o.rejected = append(o.rejected, Rejection{row, reason})
	o.Skip(row)
}

// Skip leaves an input row out of what is kept.
func (o *Output) Skip(row int) {
	o.needsInput()
	if row < 0 || row >= o.input.rows {
		fail("", row, "it was left out, but the input has %d rows", o.input.rows)
	}
	o.leftOut = append(o.leftOut, row)
}

// needsInput is for what means input rows: the Finish of an aggregate has none.
func (o *Output) needsInput() {
	if o.input == nil {
		fail("", -1, "there are no input rows here to keep, skip or reject")
	}
}

func sortRejections(rejected []Rejection) []Rejection {
	slices.SortStableFunc(rejected, func(a, b Rejection) int { return cmp.Compare(a.Row, b.Row) })
	return slices.CompactFunc(rejected, func(a, b Rejection) bool { return a.Row == b.Row })
}

// finish checks everything; rows is how many each column has to have, or -1.
func (o *Output) finish(rows int) Finished {
	first := "what was asked for"
	if o.kept {
		if !o.someRows && len(o.leftOut) > 0 {
			o.someRows, o.keptRows = true, survivors(o.input.rows, o.leftOut)
		}
		rows, first = o.input.rows, "the rows kept"
		if o.someRows {
			rows = len(o.keptRows)
		}
	}
	columns := make([]Buffers, len(o.schema))
	for i, field := range o.schema {
		builder := o.builders[i]
		if !builder.started {
			columns[i] = o.take(field)
			continue
		}
		if rows < 0 {
			rows, first = builder.rows, "column `"+field.Name+"`"
		}
		if builder.rows != rows {
			fail(field.Name, min(rows, builder.rows), "the output column has %d rows, but %s %d", builder.rows, first, rows)
		}
		columns[i] = builder.finish()
	}
	return Finished{max(rows, 0), columns, sortRejections(o.rejected)}
}

func (o *Output) take(field Field) Buffers {
	if o.kept {
		index := o.input.schema.Index(field.Name)
		if index >= 0 && o.input.schema[index].Type == field.Type {
			if o.someRows {
				return choose(o.input.columns[index], field.Type, o.keptRows)
			}
			return o.input.columns[index]
		}
	}
	fail(field.Name, -1, "the output column was neither set nor kept")
	return Buffers{}
}

func survivors(rows int, leftOut []int) []uint32 {
	gone := make([]bool, rows)
	for _, row := range leftOut {
		gone[row] = true
	}
	kept := make([]uint32, 0, rows)
	for row := range rows {
		if !gone[row] {
			kept = append(kept, uint32(row))
		}
	}
	return kept
}

// choose makes a column of rows of another.
func choose(column Buffers, of Type, rows []uint32) Buffers {
	chosen := Buffers{}
	if len(column.Validity) > 0 {
		chosen.Validity = chooseBits(column.Validity, rows)
	}
	switch width := of.width(); {
	case of.isBytes():
		offsets, made := cast[uint32](column.Offsets), make([]uint32, 1, len(rows)+1)
		for _, row := range rows {
			chosen.Values = append(chosen.Values, column.Values[offsets[row]:offsets[row+1]]...)
			made = append(made, uint32(len(chosen.Values)))
		}
		chosen.Offsets = bytesOf(made)
	case width == 0:
		chosen.Values = chooseBits(column.Values, rows)
	default:
		chosen.Values = make([]byte, 0, len(rows)*width)
		for _, row := range rows {
			chosen.Values = append(chosen.Values, column.Values[int(row)*width:int(row+1)*width]...)
		}
	}
	return chosen
}

func chooseBits(bits []byte, rows []uint32) []byte {
	chosen := make([]byte, (len(rows)+7)/8)
	for i, row := range rows {
		chosen[i>>3] |= bits[row>>3] >> (row & 7) & 1 << (i & 7)
	}
	return chosen
}

// Build says that all columns are built and none kept, also where no value comes.
func (o *Output) Build() {
	for i := range o.schema {
		o.builders[i].started = true
	}
}
