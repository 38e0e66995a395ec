//go:build wasip1

package plugin

import (
	"runtime"
	"runtime/debug"
	"unsafe"
)

// The host writes the arguments of a call into memory that it asks for by cabi_realloc. While it does, the component
// may not call anything outside: that is a trap. Go's garbage collector looks at the clock, so it may not be at work
// then. Therefore:
//   - cabi_realloc takes memory from an arena by adding to a number, as long as the arena is large enough. It is as
//     large as all that any call before was given.
//   - Where a call is given more than any before, cabi_realloc enlarges the arena by an allocation of Go's. Only the
//     collector and what comes with it look at the clock there, so settle sees to it that nothing of them is at work
//     between calls. Goroutines do not get a turn: there is one thread, and an allocation does not wait.
//   - Where even that memory is not to be had, Go's last words cannot be written; the host says that memory is short.

// first is where the arena begins. It is there before Go's runtime is: the WASI adapter takes memory for itself when
// the runtime starts, which is never given back.
var first [256 << 10]byte

var arena struct {
	at, end uintptr
	// start is where the memory of calls begins.
	start uintptr
	// chunks are what was added in this call; they are one chunk in the next. Each is as large as all before it, from
	// 256 KiB on, so there are fewer than this in 4 GiB.
	chunks [16][]byte
	count  int
	bytes  uintptr
	// retired is what a call has used, which the host may still read.
	retired [16][]byte
}

// gcPercent is how much the heap may grow until it is collected, while a call is at work.
const gcPercent = 100

func init() {
	settle()
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

// enlarge adds a chunk from Go's heap, see above.
func enlarge(size uintptr) {
	size += 16
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
	settle()
	if arena.count == 0 {
		arena.at, arena.end = arena.start, uintptr(unsafe.Pointer(&first))+uintptr(len(first))
		return
	}
	chunk := arena.chunks[0]
	arena.at = uintptr(unsafe.Pointer(unsafe.SliceData(chunk)))
	arena.end = arena.at + uintptr(len(chunk))
}

var collected debug.GCStats

// collections is how many there were.
func collections() int64 {
	debug.ReadGCStats(&collected)
	return collected.NumGC
}

// settle turns the collector off. That waits for a collection that is at work, whose last deed is to set the size to
// which later growth of the heap has to bring it back; while that is set, an allocation may look at the clock. With the
// collector already off the size is too small, so then another collection sets it as it is without one at work.
func settle() {
	for {
		before := collections()
		debug.SetGCPercent(-1)
		if collections() == before {
			return
		}
		debug.SetGCPercent(gcPercent)
		runtime.GC()
	}
}
