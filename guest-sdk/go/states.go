package plugin

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"unsafe"
)

// States are kept by the host as bytes. A type of fixed width (numbers, and arrays and structs of them without gaps)
// is written as it lies in memory, and so is a slice of such a type; all others as JSON.

type codec[S any] struct {
	// width of a value, or of a slice's element; 0 for JSON.
	width int
	slice bool
}

func codecOf[S any]() (codec[S], error) {
	of := reflect.TypeFor[S]()
	if of.Kind() == reflect.Slice && fixed(of.Elem()) {
		return codec[S]{int(of.Elem().Size()), true}, nil
	}
	if fixed(of) {
		return codec[S]{int(of.Size()), false}, nil
	}
	if lost := lostIn(of, nil); lost != "" {
		return codec[S]{}, fmt.Errorf(
			"the state %s is kept as JSON, which has no place for %s: give it a name that begins with a capital", of, lost)
	}
	return codec[S]{}, nil
}

var marshaler = reflect.TypeFor[json.Marshaler]()

// lostIn is a field that JSON would leave out without a word; empty for none.
func lostIn(of reflect.Type, seen []reflect.Type) string {
	if slices.Contains(seen, of) || of.Implements(marshaler) || reflect.PointerTo(of).Implements(marshaler) {
		return ""
	}
	seen = append(seen, of)
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return lostIn(of.Elem(), seen)
	case reflect.Struct:
		for i := range of.NumField() {
			field := of.Field(i)
			if !field.IsExported() {
				return "the field " + field.Name
			}
			if lost := lostIn(field.Type, seen); lost != "" {
				return lost
			}
		}
	}
	return ""
}

// fixed is whether a type has one way to lie in memory, without pointers and gaps.
func fixed(of reflect.Type) bool {
	switch of.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Float32, reflect.Float64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	case reflect.Array:
		return fixed(of.Elem())
	case reflect.Struct:
		size := uintptr(0)
		for i := range of.NumField() {
			if !fixed(of.Field(i).Type) {
				return false
			}
			size += of.Field(i).Type.Size()
		}
		return size == of.Size() && size > 0
	}
	return false
}

// stateColumn reads the states of a call.
type stateColumn struct {
	column  Buffers
	offsets []uint32
}

func readStates(column Buffers) stateColumn {
	offsets := cast[uint32](column.Offsets)
	if len(offsets) == 0 {
		offsets = []uint32{0}
	}
	if last := int(offsets[len(offsets)-1]); last > len(column.Values) {
		fail("states", -1, "they end at byte %d of %d", last, len(column.Values))
	}
	return stateColumn{column, offsets}
}

func (c stateColumn) len() int { return len(c.offsets) - 1 }

func (c stateColumn) at(i int) (state []byte, ok bool) {
	if (Nulls{c.column.Validity}).Is(i) {
		return nil, false
	}
	return c.column.Values[c.offsets[i]:c.offsets[i+1]], true
}

func (c codec[S]) read(state []byte, i int) (value S, err error) {
	switch {
	case c.width == 0:
		err = json.Unmarshal(state, &value)
	case c.slice:
		if len(state)%c.width != 0 {
			return value, fmt.Errorf("state %d has %d bytes, no multiple of %d: was it written by another version?", i, len(state), c.width)
		}
		reflect.ValueOf(&value).Elem().Set(reflect.MakeSlice(reflect.TypeFor[S](), len(state)/c.width, len(state)/c.width))
		copy(c.memory(&value), state)
	default:
		if len(state) != c.width {
			return value, fmt.Errorf("state %d has %d bytes, not %d: was it written by another version?", i, len(state), c.width)
		}
		copy(c.memory(&value), state)
	}
	if err != nil {
		return value, fmt.Errorf("state %d cannot be read: %w", i, err)
	}
	return value, nil
}

func (c codec[S]) write(to []byte, value *S) ([]byte, error) {
	if c.width == 0 {
		text, err := json.Marshal(value)
		return append(to, text...), err
	}
	return append(to, c.memory(value)...), nil
}

// memory is a value of fixed width, or the elements of a slice of them, as bytes.
func (c codec[S]) memory(value *S) []byte {
	if !c.slice {
		return unsafe.Slice((*byte)(unsafe.Pointer(value)), c.width)
	}
	// A slice of any type begins with its pointer and its length.
	elements := *(*[]byte)(unsafe.Pointer(value))
	return unsafe.Slice(unsafe.SliceData(elements), len(elements)*c.width)
}

// columnOf writes states; nil is null.
func columnOf[S any](c codec[S], states []*S) (Buffers, error) {
	offsets := make([]uint32, 1, len(states)+1)
	var values, validity []byte
	for i, state := range states {
		if state == nil {
			for len(validity) < (len(states)+7)/8 {
				validity = append(validity, 0xff)
			}
			validity[i>>3] &^= 1 << (i & 7)
		} else {
			var err error
			if values, err = c.write(values, state); err != nil {
				return Buffers{}, fmt.Errorf("state %d cannot be written: %w", i, err)
			}
		}
		offsets = append(offsets, uint32(len(values)))
	}
	if len(validity) > 0 {
		cutBits(validity, len(states))
	}
	return Buffers{validity, bytesOf(offsets), values}, nil
}
