package plugin

import (
	"iter"
	"unsafe"
)

// Buffers are a column as it crosses the boundary: see data.wit.
type Buffers struct{ Validity, Offsets, Values []byte }

// Clock is what is the same however often a micro-batch is run again.
type Clock struct {
	BatchID uint64
	Now     Timestamp
	// Watermark: no row with an earlier event time is expected. It has a meaning if HasWatermark.
	Watermark    Timestamp
	HasWatermark bool
}

// Batch is rows as columns. They belong to the call.
type Batch struct {
	schema  Schema
	clock   Clock
	rows    int
	columns []Buffers
	// isKeys is whether its rows are keys: no place of a row of the input.
	isKeys bool
}

func newBatch(schema Schema, clock Clock, rows int, columns []Buffers) *Batch {
	if len(columns) != len(schema) {
		fail("", -1, "the batch has %d columns, its schema %d", len(columns), len(schema))
	}
	batch := &Batch{schema: schema, clock: clock, rows: rows, columns: columns}
	for i, field := range schema {
		batch.check(field, &columns[i])
	}
	return batch
}

func (b *Batch) check(field Field, column *Buffers) {
	enough := func(buffer string, bytes []byte, needed int) {
		if len(bytes) < needed {
			fail(field.Name, -1, "its %s have %d bytes where %d are needed", buffer, len(bytes), needed)
		}
	}
	if len(column.Validity) > 0 {
		enough("validity bits", column.Validity, (b.rows+7)/8)
	}
	switch width := field.Type.width(); {
	case field.Type.isBytes() && b.rows > 0:
		enough("offsets", column.Offsets, (b.rows+1)*4)
		enough("values", column.Values, int(cast[uint32](column.Offsets)[b.rows]))
	case field.Type.isBytes():
	case width == 0:
		enough("values", column.Values, (b.rows+7)/8)
	default:
		enough("values", column.Values, b.rows*width)
	}
}

// Len is how many rows there are.
func (b *Batch) Len() int { return b.rows }

// Schema is the columns' names and types.
func (b *Batch) Schema() Schema { return b.schema }

// Clock is that of the micro-batch.
func (b *Batch) Clock() Clock { return b.clock }

// cast looks at bytes as numbers, without copying: the contract is little-endian, and so is Wasm.
func cast[T any](bytes []byte) []T {
	size := int(unsafe.Sizeof(*new(T)))
	if len(bytes) < size {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(bytes))), len(bytes)/size)
}

// bytesOf looks at numbers as bytes.
func bytesOf[T any](values []T) []byte {
	size := int(unsafe.Sizeof(*new(T)))
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*size)
}

// Nulls says which rows of a column are null.
type Nulls struct{ bits []byte }

// Any is whether some row may be null: where it is false nothing needs to be asked.
func (n Nulls) Any() bool { return len(n.bits) > 0 }

// Is is whether a row is null.
func (n Nulls) Is(row int) bool { return len(n.bits) > 0 && n.bits[row>>3]>>(row&7)&1 == 0 }

// Numbers is a column of numbers; where a row is null the number means nothing.
type Numbers[T Number] struct {
	Values []T
	Nulls
}

// Read is the column in a batch.
func (k NumberKey[T]) Read(batch *Batch) Numbers[T] {
	column := &batch.columns[k.index]
	place.column = batch.schema[k.index].Name
	return Numbers[T]{cast[T](column.Values)[:batch.rows:batch.rows], Nulls{column.Validity}}
}

// Get is the number of a row, and whether there is one.
func (n Numbers[T]) Get(row int) (T, bool) { return n.Values[row], !n.Is(row) }

// Texts is a column of text or bytes.
type Texts struct {
	// Bytes are all values, one after the other.
	Bytes []byte
	// Offsets are where each value starts, and where the last one ends.
	Offsets []uint32
	Nulls
}

// Read is the column in a batch.
func (k TextKey) Read(batch *Batch) Texts {
	column := &batch.columns[k.index]
	place.column = batch.schema[k.index].Name
	if batch.rows == 0 {
		return Texts{Offsets: []uint32{0}}
	}
	return Texts{column.Values, cast[uint32](column.Offsets)[:batch.rows+1], Nulls{column.Validity}}
}

// Len is how many rows there are.
func (t Texts) Len() int { return len(t.Offsets) - 1 }

// Value is the bytes of a row; of a null, any.
func (t Texts) Value(row int) []byte { return t.Bytes[t.Offsets[row]:t.Offsets[row+1]] }

// Get is the text of a row, and whether there is one. It is a view: strings.Clone what is kept.
func (t Texts) Get(row int) (string, bool) {
	value := t.Value(row)
	return unsafe.String(unsafe.SliceData(value), len(value)), !t.Is(row)
}

// All gives the rows that are not null, with their texts.
func (t Texts) All() iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for row := range t.Len() {
			text, ok := t.Get(row)
			place.row = row
			if ok && !yield(row, text) {
				break
			}
		}
		// Not where the loop was left by a panic: that is the place.
		place.row = -1
	}
}

// Booleans is a boolean column.
type Booleans struct {
	bits []byte
	Nulls
}

// Read is the column in a batch.
func (k BooleanKey) Read(batch *Batch) Booleans {
	column := &batch.columns[k.index]
	place.column = batch.schema[k.index].Name
	return Booleans{column.Values, Nulls{column.Validity}}
}

// Get is the value of a row, and whether there is one.
func (b Booleans) Get(row int) (value, ok bool) {
	return b.bits[row>>3]>>(row&7)&1 == 1, !b.Is(row)
}
