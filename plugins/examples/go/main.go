// The example operators in Go: what the same ones are in other languages, see plugins/examples.
package main

import "millstream/plugin"

func init() {
	plugin.Describe("examples-go", "0.1.0", "The example operators, in Go.")
	plugin.Transform("split-words", "Splits text at spaces: one row a word.", splitWords)
	plugin.Transform("currency", "Converts a price into another currency.", currency)
	plugin.Transform("json-pick", "Picks typed columns out of JSON documents.", jsonPick)
	plugin.Aggregate("mean", "The mean of a column of numbers.", mean)
	plugin.Keyed("sessions", "One row for each session of a key: rows with less than a gap of time between them.", sessions)
	plugin.Transform("hostile", "Does wrong what an operator can do wrong.", hostile)
	plugin.Aggregate("hostile-sum", "Does wrong what an aggregate can do wrong.", hostileSum)
	plugin.Keyed("hostile-keyed", "Does wrong what a keyed operator can do wrong.", hostileKeyed)
}

func main() {}
