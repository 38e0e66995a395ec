//go:build wasip1

package plugin

import (
	"runtime/debug"
	"unsafe"
)

// The host writes the arguments of a call into memory that it asks for by cabi_realloc. While it does, the component
// may not call anything outside; Go's garbage collector does, since it looks at the clock, and so a collection that
// began or went on there would be a trap. Therefore:
//   - cabi_realloc takes memory from an arena by adding to a number. It allocates nothing, cannot grow its stack and
//     never comes to the scheduler, which would give the collector a turn.
//   - The collector is on only while a call of the host is at work. Turning it off waits until it has marked
//     everything, so none is at work between calls, not even where the arena has to be enlarged by cabi_realloc.

// first is where the arena begins. It is there before Go's runtime is: the WASI adapter takes memory for itself when
// the runtime starts, which is never given back.
var first [256 << 10]byte

var arena struct {
	at, end uintptr
	// start is where the memory of calls begins.
	start uintptr
	// chunks are what was added in this call; they are one chunk in the next.
	chunks [48][]byte
	count  int
	bytes  uintptr
	// retired is what a call has used, which the host may still read.
	retired [48][]byte
}

// gcPercent is how much the heap may grow until it is collected, while a call is at work.
const gcPercent = 100

func init() {
	debug.SetGCPercent(-1)
	reallocFirst()
	arena.start = arena.at
}

//go:nosplit
func reallocFirst() {
	if arena.end == 0 {
		arena.at = uintptr(unsafe.Pointer(&first))
		arena.end = arena.at + uintptr(len(first))
	}
}

//go:wasmexport cabi_realloc
//go:nosplit
func cabiRealloc(old, oldSize, align, size uint32) uint32 {
	reallocFirst()
	// Numbers are read in place, so everything is aligned for them.
	at := (arena.at + 15) &^ 15
	if at+uintptr(size) > arena.end {
		enlarge(uintptr(size))
		at = arena.at
	}
	arena.at = at + uintptr(size)
	if old != 0 {
		from, to := unsafe.Pointer(uintptr(old)), unsafe.Pointer(at)
		copy(unsafe.Slice((*byte)(to), size), unsafe.Slice((*byte)(from), min(oldSize, size)))
	}
	return uint32(at)
}

// enlarge adds a chunk from Go's heap. The collector is off.
func enlarge(size uintptr) {
	size += 16
	if arena.count == len(arena.chunks) {
		panic("the arguments of a call are in too many pieces")
	}
	chunk := make([]byte, max(size, arena.bytes, uintptr(len(first))))
	arena.chunks[arena.count] = chunk
	arena.count++
	arena.bytes += uintptr(len(chunk))
	arena.at = (uintptr(unsafe.Pointer(unsafe.SliceData(chunk))) + 15) &^ 15
	arena.end = uintptr(unsafe.Pointer(unsafe.SliceData(chunk))) + uintptr(len(chunk))
}

// enter begins a call of the host.
func enter() { debug.SetGCPercent(gcPercent) }

// leave ends it. What was written is read by the host before it asks for memory again.
func leave() {
	arena.retired = arena.chunks
	if arena.count > 1 {
		clear(arena.chunks[:])
		arena.chunks[0] = make([]byte, arena.bytes)
		arena.count = 1
	}
	debug.SetGCPercent(-1)
	if arena.count == 0 {
		arena.at, arena.end = arena.start, uintptr(unsafe.Pointer(&first))+uintptr(len(first))
		return
	}
	chunk := arena.chunks[0]
	arena.at = uintptr(unsafe.Pointer(unsafe.SliceData(chunk)))
	arena.end = arena.at + uintptr(len(chunk))
}
