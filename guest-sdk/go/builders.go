package plugin

import (
	"math"
	"slices"
)

// builder is an output column while it grows. Its memory serves again in the next call: the host has copied what it
// was given by then.
type builder struct {
	field    Field
	rows     int
	started  bool
	values   []byte
	offsets  []uint32
	validity []byte
}

func (b *builder) begin(field Field) {
	b.field, b.rows, b.started = field, 0, false
	b.values, b.validity = b.values[:0], b.validity[:0]
	b.offsets = b.offsets[:0]
	if field.Type.isBytes() {
		b.offsets = append(b.offsets, 0)
	}
}

// null marks the row that comes next.
func (b *builder) null() {
	if !b.field.Nullable {
		fail(b.field.Name, b.rows, "a null, but the output schema says that the column has none")
	}
	b.roomForNulls(b.rows + 1)
	b.validity[b.rows>>3] &^= 1 << (b.rows & 7)
}

func (b *builder) roomForNulls(rows int) {
	for len(b.validity) < (rows+7)/8 {
		b.validity = append(b.validity, 0xff)
	}
}

// Nulls takes over the nulls of a column with as many rows as the output has.
func (b *builder) Nulls(nulls Nulls) {
	if !nulls.Any() {
		return
	}
	if !b.field.Nullable {
		for row := range len(nulls.bits) * 8 {
			if nulls.Is(row) && row < b.rows {
				fail(b.field.Name, row, "a null, but the output schema says that the column has none")
			}
		}
	}
	b.validity = append(b.validity[:0], nulls.bits...)
}

func (b *builder) finish() Buffers {
	finished := Buffers{Values: b.values}
	if len(b.validity) > 0 {
		b.roomForNulls(b.rows)
		finished.Validity = cutBits(b.validity[:(b.rows+7)/8], b.rows)
	}
	if b.field.Type.isBytes() {
		if len(b.values) > math.MaxInt32 {
			fail(b.field.Name, -1, "the column would be larger than 2 GiB; use smaller batches")
		}
		finished.Offsets = bytesOf(b.offsets)
	}
	return finished
}

// cutBits makes bits behind the last row zeros.
func cutBits(bits []byte, rows int) []byte {
	if rows&7 != 0 {
		bits[rows>>3] &= 1<<(rows&7) - 1
	}
	return bits
}

// NumberBuilder builds a column of numbers.
type NumberBuilder[T Number] struct{ *builder }

// Append adds a number.
func (b NumberBuilder[T]) Append(value T) {
	at := len(b.values)
	b.grow(1)
	cast[T](b.values[at:])[0] = value
}

// AppendNull adds a null.
func (b NumberBuilder[T]) AppendNull() {
	b.null()
	b.Append(*new(T))
}

// Extend adds rows and gives them to be filled in.
func (b NumberBuilder[T]) Extend(rows int) []T {
	at := len(b.values)
	b.grow(rows)
	return cast[T](b.values[at:])
}

func (b NumberBuilder[T]) grow(rows int) {
	bytes := rows * b.field.Type.width()
	b.values = slices.Grow(b.values, bytes)[:len(b.values)+bytes]
	b.rows += rows
}

// AppendInt64 adds a number that the column may be too narrow for: then the call fails, and says where.
func (b NumberBuilder[T]) AppendInt64(value int64) {
	if least, greatest := bounds[T](); value < least || value > 0 && uint64(value) > greatest {
		b.overflow(value)
	}
	b.Append(T(value))
}

// AppendUint64 is [NumberBuilder.AppendInt64] for numbers without a sign.
func (b NumberBuilder[T]) AppendUint64(value uint64) {
	if _, greatest := bounds[T](); value > greatest {
		b.overflow(value)
	}
	b.Append(T(value))
}

func (b NumberBuilder[T]) overflow(value any) {
	fail(b.field.Name, b.rows, "overflow: %d does not fit a column of %s", value, b.field.Type)
}

// bounds are the whole numbers that fit a column. Floats take all of them, rounded to what they can tell apart.
func bounds[T Number]() (least int64, greatest uint64) {
	switch any(*new(T)).(type) {
	case int32, Date:
		return math.MinInt32, math.MaxInt32
	case int64, Timestamp:
		return math.MinInt64, math.MaxInt64
	default:
		return math.MinInt64, math.MaxUint64
	}
}

// BooleanBuilder builds a boolean column.
type BooleanBuilder struct{ *builder }

// Append adds a value.
func (b BooleanBuilder) Append(value bool) {
	if b.rows&7 == 0 {
		b.values = append(b.values, 0)
	}
	if value {
		b.values[b.rows>>3] |= 1 << (b.rows & 7)
	}
	b.rows++
}

// AppendNull adds a null.
func (b BooleanBuilder) AppendNull() {
	b.null()
	b.Append(false)
}

// TextBuilder builds a column of text or bytes.
type TextBuilder struct{ *builder }

// Append adds a text.
func (b TextBuilder) Append(text string) {
	b.values = append(b.values, text...)
	b.end()
}

// AppendBytes adds the bytes of a text.
func (b TextBuilder) AppendBytes(text []byte) {
	b.values = append(b.values, text...)
	b.end()
}

// AppendNull adds a null.
func (b TextBuilder) AppendNull() {
	b.null()
	b.end()
}

func (b TextBuilder) end() {
	b.offsets = append(b.offsets, uint32(len(b.values)))
	b.rows++
}

// Buffers gives the column's memory, with room for rows and bytes, to be filled by hand where a call for each value
// would be too much: row i is the bytes from offsets[i] to offsets[i+1]. [TextBuilder.Filled] says how far it got.
func (b TextBuilder) Buffers(rows, bytes int) (values []byte, offsets []uint32) {
	b.values = slices.Grow(b.values[:0], bytes)
	b.offsets = slices.Grow(b.offsets[:0], rows+1)
	offsets = b.offsets[:rows+1]
	offsets[0] = 0
	return b.values[:bytes], offsets
}

// Filled ends what [TextBuilder.Buffers] began.
func (b TextBuilder) Filled(rows int) {
	b.rows = rows
	b.offsets = b.offsets[:rows+1]
	b.values = b.values[:b.offsets[rows]]
}
