package plugin

import (
	"fmt"
	"strings"
)

// failure is a panic of the kit: a mistake of the operator that is told with its place.
type failure struct {
	column string
	row    int
	what   string
}

// place is what a call is looking at, for the error that a panic becomes: the column that was read last, and the row at
// which a loop over rows is, or that was last read by [Batch.Row].
var place struct {
	operator, column string
	row              int
}

func begin(operator string) { place.operator, place.column, place.row = operator, "", -1 }

// fail ends the call as an error that names a column and a row of it; -1 names none.
func fail(column string, row int, format string, arguments ...any) {
	panic(failure{column, row, fmt.Sprintf(format, arguments...)})
}

// recovered turns a panic into an error of the call.
func recovered(err *error) {
	switch cause := recover().(type) {
	case nil:
	case failure:
		*err = placed(cause)
	default:
		// Not by cause.Error(), which may panic as well.
		*err = placed(failure{place.column, place.row, fmt.Sprintf("panic: %v", cause)})
	}
}

func placed(f failure) error {
	var words strings.Builder
	if place.operator != "" {
		fmt.Fprintf(&words, "operator `%s`: ", place.operator)
	}
	switch {
	case f.column != "" && f.row >= 0:
		fmt.Fprintf(&words, "column `%s`, row %d: ", f.column, f.row)
	case f.column != "":
		fmt.Fprintf(&words, "column `%s`: ", f.column)
	case f.row >= 0:
		fmt.Fprintf(&words, "row %d: ", f.row)
	}
	words.WriteString(f.what)
	return fmt.Errorf("%s", words.String())
}

// within says in which operator an error happened.
func within(err error) error { return fmt.Errorf("operator `%s`: %w", place.operator, err) }

// nearest is the end of a message: the known name that was most likely meant, or all of them.
func nearest(name string, known []string) string {
	if len(known) == 0 {
		return "there are none"
	}
	best, least := "", 1<<30
	for _, candidate := range known {
		if apart := distance(name, candidate); apart < least {
			best, least = candidate, apart
		}
	}
	if least <= max(len(best)/2, 2) {
		return fmt.Sprintf("did you mean `%s`?", best)
	}
	return "there are `" + strings.Join(known, "`, `") + "`"
}

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
