package plugin

import "iter"

// Row is one row by column names: easy rather than fast. A panic while a row is looked at names it.
type Row struct {
	batch *Batch
	index int
}

// Rows gives the rows in order.
func (b *Batch) Rows() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		before := place.column
		for row := range b.rows {
			place.row = row
			if !yield(Row{b, row}) {
				break
			}
		}
		// Not where the loop was left by a panic: that is the place.
		place.column, place.row = before, -1
	}
}

// Row is a row by its index.
func (b *Batch) Row(row int) Row { return Row{b, row} }

// Index is the row's place in the batch.
func (r Row) Index() int { return r.index }

func (r Row) column(name string, wanted ...Type) int {
	place.column = name
	row := -1
	if !r.batch.isKeys {
		row = r.index
		place.row = row
	}
	index, err := r.batch.schema.place(name, wanted...)
	if err != nil {
		fail(name, row, "%s", err)
	}
	return index
}

// Text is the text of a utf8 column, and whether it is there. It is a view: strings.Clone what is kept.
func (r Row) Text(name string) (string, bool) {
	return TextKey{r.column(name, Utf8)}.Read(r.batch).Get(r.index)
}

// Bytes is the value of a binary or utf8 column.
func (r Row) Bytes(name string) ([]byte, bool) {
	texts := TextKey{r.column(name, Binary, Utf8)}.Read(r.batch)
	return texts.Value(r.index), !texts.Is(r.index)
}

// Int64 is the value of an int64 or int32 column.
func (r Row) Int64(name string) (int64, bool) {
	index := r.column(name, Int64, Int32)
	if r.batch.schema[index].Type == Int32 {
		value, ok := NumberKey[int32]{index}.Read(r.batch).Get(r.index)
		return int64(value), ok
	}
	return NumberKey[int64]{index}.Read(r.batch).Get(r.index)
}

// Float64 is the value of a float64 or float32 column.
func (r Row) Float64(name string) (float64, bool) {
	index := r.column(name, Float64, Float32)
	if r.batch.schema[index].Type == Float32 {
		value, ok := NumberKey[float32]{index}.Read(r.batch).Get(r.index)
		return float64(value), ok
	}
	return NumberKey[float64]{index}.Read(r.batch).Get(r.index)
}

// Timestamp is the value of a timestamp column.
func (r Row) Timestamp(name string) (Timestamp, bool) {
	return NumberKey[Timestamp]{r.column(name, TimestampUTC, TimestampLocal)}.Read(r.batch).Get(r.index)
}

// Boolean is the value of a boolean column.
func (r Row) Boolean(name string) (value, ok bool) {
	return BooleanKey{r.column(name, Boolean)}.Read(r.batch).Get(r.index)
}
