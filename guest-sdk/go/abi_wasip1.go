//go:build wasip1

package plugin

import (
	"fmt"
	"unsafe"
)

// The canonical ABI of the contract, by hand: how it passes lists and records is a handful of rules, and this way
// nothing is copied and nothing allocated where it may not be. Numbers in brackets are offsets in bytes.

//go:wasmimport millstream:plugin/host@0.1.0 log
func importLog(level uint32, message unsafe.Pointer, length uint32)

//go:wasmimport millstream:plugin/host@0.1.0 count
func importCount(name unsafe.Pointer, length uint32, by uint64)

//go:wasmimport millstream:plugin/host@0.1.0 observe
func importObserve(name unsafe.Pointer, length uint32, value float64)

func hostLog(level Level, message string) {
	importLog(uint32(level), unsafe.Pointer(unsafe.StringData(message)), uint32(len(message)))
}

func hostCount(name string, by uint64) {
	importCount(unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)), by)
}

func hostObserve(name string, value float64) {
	importObserve(unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)), value)
}

// words are 32 bits each, as records are made of.
type words []uint32

// answer is the memory of the answer to a call, and what it points to.
var answer struct {
	words  [16]uint32
	pinned []any
}

var opened *Opened

func give(text string) (pointer, length uint32) {
	answer.pinned = append(answer.pinned, text)
	return uint32(uintptr(unsafe.Pointer(unsafe.StringData(text)))), uint32(len(text))
}

func giveWords(list words) uint32 {
	answer.pinned = append(answer.pinned, list)
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(list))))
}

func bytesAt(pointer, length uint32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(uintptr(pointer))), length)
}

func wordsAt(pointer, count uint32) words {
	return unsafe.Slice((*uint32)(unsafe.Pointer(uintptr(pointer))), count)
}

// textAt copies: names and configs stay.
func textAt(pointer, length uint32) string { return string(bytesAt(pointer, length)) }

// answered ends a call: the first word says whether it is an error.
func answered(err error) uint32 {
	if err != nil {
		answer.words[0] = 1
		answer.words[1], answer.words[2] = give(err.Error())
	} else {
		answer.words[0] = 0
	}
	leave()
	return uint32(uintptr(unsafe.Pointer(&answer.words)))
}

func begun() {
	enter()
	clear(answer.pinned)
	answer.pinned = answer.pinned[:0]
}

// ---- Records ----

// schemaAt reads fields of 20 bytes: name [0], type [8], nullable [16].
func schemaAt(pointer, count uint32) (Schema, error) {
	schema := make(Schema, count)
	for i := range schema {
		record := wordsAt(pointer+uint32(i)*20, 5)
		name, format := textAt(record[0], record[1]), textAt(record[2], record[3])
		of, known := TypeOf(format)
		if !known {
			return nil, fmt.Errorf("the column `%s` has the type `%s`, which is unknown to this kit", name, format)
		}
		schema[i] = Field{name, of, record[4]&1 == 1}
	}
	return schema, nil
}

func giveSchema(schema Schema) uint32 {
	list := make(words, 0, len(schema)*5)
	for _, field := range schema {
		name, nameLength := give(field.Name)
		format, formatLength := give(field.Type.Format())
		nullable := uint32(0)
		if field.Nullable {
			nullable = 1
		}
		list = append(list, name, nameLength, format, formatLength, nullable)
	}
	return giveWords(list)
}

// buffersOf reads a column of 24 bytes: validity [0], offsets [8], values [16].
func buffersOf(record words) Buffers {
	return Buffers{bytesAt(record[0], record[1]), bytesAt(record[2], record[3]), bytesAt(record[4], record[5])}
}

// columnsAt reads columns; the memory of the list serves in every call.
func columnsAt(to []Buffers, pointer, count uint32) []Buffers {
	to = to[:0]
	for i := range count {
		to = append(to, buffersOf(wordsAt(pointer+i*24, 6)))
	}
	return to
}

func giveBuffers(to words, buffers Buffers) {
	for i, bytes := range [3][]byte{buffers.Validity, buffers.Offsets, buffers.Values} {
		to[2*i] = uint32(uintptr(unsafe.Pointer(unsafe.SliceData(bytes))))
		to[2*i+1] = uint32(len(bytes))
	}
	answer.pinned = append(answer.pinned, buffers)
}

// giveBatch writes rows [0] and columns [4].
func giveBatch(to words, finished Finished) {
	list := make(words, len(finished.Columns)*6)
	for i, column := range finished.Columns {
		giveBuffers(list[i*6:], column)
	}
	to[0], to[1], to[2] = uint32(finished.Rows), giveWords(list), uint32(len(finished.Columns))
}

// giveRejections writes a list of 12 bytes each: row [0], reason [4].
func giveRejections(to words, rejected []Rejection) {
	list := make(words, 0, len(rejected)*3)
	for _, rejection := range rejected {
		reason, length := give(rejection.Reason)
		list = append(list, uint32(rejection.Row), reason, length)
	}
	to[0], to[1] = giveWords(list), uint32(len(rejected))
}

// ---- Catalog ----

//go:wasmexport millstream:plugin/catalog@0.1.0#describe
func exportDescribe() uint32 {
	begun()
	description := Described()
	list := make(words, 0, len(description.Operators)*8)
	for _, operator := range description.Operators {
		name, nameLength := give(operator.Name)
		summary, summaryLength := give(operator.Summary)
		schema, schemaLength := give(operator.ConfigSchema())
		retracts := uint32(0)
		if operator.Retracts {
			retracts = 1
		}
		list = append(list, name, nameLength, uint32(operator.Kind), summary, summaryLength, schema, schemaLength, retracts)
	}
	answer.words[0], answer.words[1] = give(description.Name)
	answer.words[2], answer.words[3] = give(description.Version)
	answer.words[4], answer.words[5] = give(description.Summary)
	answer.words[6], answer.words[7] = giveWords(list), uint32(len(description.Operators))
	leave()
	return uint32(uintptr(unsafe.Pointer(&answer.words)))
}

// ---- Opening ----

func openAny(kind Kind, name, config string, keysAt, keyCount, inputAt, inputCount uint32) uint32 {
	begun()
	keys, err := schemaAt(keysAt, keyCount)
	if err != nil {
		return answered(err)
	}
	input, err := schemaAt(inputAt, inputCount)
	if err != nil {
		return answered(err)
	}
	made, err := Open(kind, name, config, keys, input)
	if err == nil {
		opened = made
		answer.words[1], answer.words[2] = giveSchema(made.output), uint32(len(made.output))
	}
	return answered(err)
}

//go:wasmexport millstream:plugin/transform@0.1.0#open
func exportTransformOpen(name, nameLength, config, configLength, input, inputCount uint32) uint32 {
	return openAny(KindTransform, textAt(name, nameLength), textAt(config, configLength), 0, 0, input, inputCount)
}

//go:wasmexport millstream:plugin/aggregate@0.1.0#open
func exportAggregateOpen(name, nameLength, config, configLength, input, inputCount uint32) uint32 {
	return openAny(KindAggregate, textAt(name, nameLength), textAt(config, configLength), 0, 0, input, inputCount)
}

//go:wasmexport millstream:plugin/keyed@0.1.0#open
func exportKeyedOpen(name, nameLength, config, configLength, keys, keyCount, input, inputCount uint32) uint32 {
	return openAny(KindKeyed, textAt(name, nameLength), textAt(config, configLength), keys, keyCount, input, inputCount)
}

func isOpen(kind Kind) error {
	if opened == nil || opened.kind != kind {
		return fmt.Errorf("no %s is open", kind)
	}
	return nil
}

// ---- Transforms ----

var given, givenKeys []Buffers

//go:wasmexport millstream:plugin/transform@0.1.0#process
func exportTransformProcess(batchID, now int64, hasWatermark int32, watermark int64, rows, columns, count uint32) uint32 {
	begun()
	err := isOpen(KindTransform)
	if err == nil {
		var finished Finished
		given = columnsAt(given, columns, count)
		clock := Clock{uint64(batchID), Timestamp(now), Timestamp(watermark), hasWatermark == 1}
		if finished, err = opened.Process(clock, int(rows), given); err == nil {
			giveBatch(answer.words[1:], finished)
			giveRejections(answer.words[4:], finished.Rejected)
		}
	}
	return answered(err)
}

// ---- Aggregates ----

func columnOfWords(validity, validityLength, offsets, offsetsLength, values, valuesLength uint32) Buffers {
	return buffersOf(words{validity, validityLength, offsets, offsetsLength, values, valuesLength})
}

func withAggregate(act func() (Buffers, error)) uint32 {
	begun()
	err := isOpen(KindAggregate)
	if err == nil {
		var states Buffers
		if states, err = act(); err == nil {
			giveBuffers(answer.words[1:], states)
		}
	}
	return answered(err)
}

//go:wasmexport millstream:plugin/aggregate@0.1.0#accumulate
func exportAccumulate(v, vn, o, on, b, bn, groups, groupBytes, rows, columns, count uint32) uint32 {
	return withAggregate(func() (Buffers, error) {
		given = columnsAt(given, columns, count)
		return opened.Accumulate(columnOfWords(v, vn, o, on, b, bn), wordsAt(groups, groupBytes/4), int(rows), given)
	})
}

//go:wasmexport millstream:plugin/aggregate@0.1.0#merge
func exportMerge(v, vn, o, on, b, bn, rv, rvn, ro, ron, rb, rbn uint32) uint32 {
	return withAggregate(func() (Buffers, error) {
		return opened.Merge(columnOfWords(v, vn, o, on, b, bn), columnOfWords(rv, rvn, ro, ron, rb, rbn))
	})
}

//go:wasmexport millstream:plugin/aggregate@0.1.0#retract
func exportRetract(v, vn, o, on, b, bn, rv, rvn, ro, ron, rb, rbn uint32) uint32 {
	return withAggregate(func() (Buffers, error) {
		return opened.Retract(columnOfWords(v, vn, o, on, b, bn), columnOfWords(rv, rvn, ro, ron, rb, rbn))
	})
}

//go:wasmexport millstream:plugin/aggregate@0.1.0#finish
func exportFinish(v, vn, o, on, b, bn uint32) uint32 {
	begun()
	err := isOpen(KindAggregate)
	if err == nil {
		var finished Finished
		if finished, err = opened.Finish(columnOfWords(v, vn, o, on, b, bn)); err == nil {
			giveBatch(answer.words[1:], finished)
		}
	}
	return answered(err)
}

// ---- Keyed operators ----

// exportTurn is given 96 bytes: clock [0], keys [32], states [44], rows [68], row-keys [80], due [88].
//
//go:wasmexport millstream:plugin/keyed@0.1.0#process
func exportTurn(pointer uint32) uint32 {
	begun()
	if err := isOpen(KindKeyed); err != nil {
		return answered(err)
	}
	args := wordsAt(pointer, 24)
	times := unsafe.Slice((*int64)(unsafe.Pointer(uintptr(pointer))), 4)
	clock := Clock{uint64(times[0]), Timestamp(times[1]), Timestamp(times[3]), args[4]&1 == 1}
	givenKeys, given = columnsAt(givenKeys, args[9], args[10]), columnsAt(given, args[18], args[19])
	turn := Turn{
		KeyCount: int(args[8]), Keys: givenKeys, States: buffersOf(args[11:]),
		RowCount: int(args[17]), Rows: given, RowKeys: wordsAt(args[20], args[21]/4),
		// A timer lies there as it does in Go: key [0], at [8].
		Due: unsafe.Slice((*Timer)(unsafe.Pointer(uintptr(args[22]))), args[23]),
	}
	outcome, err := opened.Turn(clock, turn)
	if err == nil {
		giveBatch(answer.words[1:], outcome.Finished)
		giveBuffers(answer.words[4:], outcome.States)
		answer.pinned = append(answer.pinned, outcome.Timers)
		answer.words[10] = uint32(uintptr(unsafe.Pointer(unsafe.SliceData(outcome.Timers))))
		answer.words[11] = uint32(len(outcome.Timers))
		giveRejections(answer.words[12:], outcome.Rejected)
	}
	return answered(err)
}

//go:wasmexport millstream:plugin/keyed@0.1.0#migrate
func exportMigrate(version, versionLength, v, vn, o, on, b, bn uint32) uint32 {
	begun()
	err := isOpen(KindKeyed)
	if err == nil {
		var states Buffers
		states, err = opened.Migrate(textAt(version, versionLength), columnOfWords(v, vn, o, on, b, bn))
		if err == nil {
			giveBuffers(answer.words[1:], states)
		}
	}
	return answered(err)
}
