package plugin

import "fmt"

// Level is how much a log line matters.
type Level uint8

// The levels, in the order of the contract.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
)

// Log adds a line to the pipeline's log.
func Log(level Level, format string, arguments ...any) {
	hostLog(level, fmt.Sprintf(format, arguments...))
}

// Count adds to a counter of this operator.
func Count(name string, by uint64) { hostCount(name, by) }

// Observe records one value of a distribution of this operator.
func Observe(name string, value float64) { hostObserve(name, value) }
