package plugin

import (
	"fmt"
	"slices"
)

// Type is the type of a column.
type Type uint8

// The types that cross the boundary.
const (
	Boolean Type = iota
	Int32
	Int64
	Float32
	Float64
	DateDays
	TimestampUTC
	TimestampLocal
	Utf8
	Binary
)

// Timestamp is a time in microseconds since the Unix epoch.
type Timestamp int64

// Date is a day, counted from the Unix epoch.
type Date int32

var types = [...]struct {
	name, format string
	width        int
}{
	{"boolean", "b", 0}, {"int32", "i", 4}, {"int64", "l", 8}, {"float32", "f", 4}, {"float64", "g", 8},
	{"date", "tdD", 4}, {"timestamp", "tsu:UTC", 8}, {"local timestamp", "tsu:", 8}, {"utf8", "u", 0}, {"binary", "z", 0},
}

func (t Type) String() string { return types[t].name }

// Format is the type as the contract writes it.
func (t Type) Format() string { return types[t].format }

// TypeOf is the type that the contract writes so.
func TypeOf(format string) (Type, bool) {
	for i, known := range types {
		if known.format == format {
			return Type(i), true
		}
	}
	return 0, false
}

func (t Type) width() int    { return types[t].width }
func (t Type) isBytes() bool { return t == Utf8 || t == Binary }

// Field is a column's name and type.
type Field struct {
	Name     string
	Type     Type
	Nullable bool
}

// Schema is columns in their order.
type Schema []Field

// Clone is a copy that may be added to.
func (s Schema) Clone() Schema { return slices.Clone(s) }

// Index is where a column is, -1 for none.
func (s Schema) Index(name string) int {
	return slices.IndexFunc(s, func(field Field) bool { return field.Name == name })
}

// With is the schema with one more column, or an error if it has one of this name.
func (s Schema) With(field Field) (Schema, error) {
	added := append(s.Clone(), field)
	return added, added.check()
}

func (s Schema) check() error {
	for i, field := range s {
		if s[:i].Index(field.Name) >= 0 {
			return fmt.Errorf("the output would have two columns `%s`; give one another name", field.Name)
		}
	}
	return nil
}

// Field is a column by name, or an error with the nearest name there is.
func (s Schema) Field(name string) (Field, error) {
	i := s.Index(name)
	if i < 0 {
		known := make([]string, len(s))
		for i, field := range s {
			known[i] = field.Name
		}
		return Field{}, fmt.Errorf("the input has no column `%s`; %s", name, nearest(name, known))
	}
	return s[i], nil
}

func (s Schema) place(name string, wanted ...Type) (int, error) {
	field, err := s.Field(name)
	if err != nil {
		return 0, err
	}
	if !slices.Contains(wanted, field.Type) {
		return 0, fmt.Errorf("the column `%s` is %s, but must be %s", name, field.Type, wanted[0])
	}
	return s.Index(name), nil
}

// Number is what a column of fixed width holds.
type Number interface {
	int32 | int64 | float32 | float64 | Timestamp | Date
}

func typesOf[T Number]() []Type {
	switch any(*new(T)).(type) {
	case int32:
		return []Type{Int32}
	case int64:
		return []Type{Int64}
	case float32:
		return []Type{Float32}
	case float64:
		return []Type{Float64}
	case Timestamp:
		return []Type{TimestampUTC, TimestampLocal}
	default:
		return []Type{DateDays}
	}
}

// NumberKey leads to a column of numbers.
type NumberKey[T Number] struct{ index int }

// TextKey leads to a utf8 column, or one of bytes.
type TextKey struct{ index int }

// BooleanKey leads to a boolean column.
type BooleanKey struct{ index int }

// NumberColumn finds a column of numbers, for batches with this schema.
func NumberColumn[T Number](s Schema, name string) (NumberKey[T], error) {
	index, err := s.place(name, typesOf[T]()...)
	return NumberKey[T]{index}, err
}

// Text finds a utf8 column.
func (s Schema) Text(name string) (TextKey, error) {
	index, err := s.place(name, Utf8)
	return TextKey{index}, err
}

// Bytes finds a binary column; text is read as its bytes.
func (s Schema) Bytes(name string) (TextKey, error) {
	index, err := s.place(name, Binary, Utf8)
	return TextKey{index}, err
}

// Int64 finds an int64 column.
func (s Schema) Int64(name string) (NumberKey[int64], error) { return NumberColumn[int64](s, name) }

// Float64 finds a float64 column.
func (s Schema) Float64(name string) (NumberKey[float64], error) {
	return NumberColumn[float64](s, name)
}

// Timestamp finds a timestamp column.
func (s Schema) Timestamp(name string) (NumberKey[Timestamp], error) {
	return NumberColumn[Timestamp](s, name)
}

// Boolean finds a boolean column.
func (s Schema) Boolean(name string) (BooleanKey, error) {
	index, err := s.place(name, Boolean)
	return BooleanKey{index}, err
}
