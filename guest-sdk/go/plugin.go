// Package plugin is the Go kit for Millstream plugins: operators that get a batch of rows as columns and answer
// with columns. Register them in an init function and leave main empty:
//
//	type Length struct {
//		Column string `json:"column" doc:"The text column."`
//	}
//
//	func length(config Length, input plugin.Schema) (plugin.Transformer, error) {
//		column, err := input.Text(config.Column)
//		if err != nil {
//			return plugin.Transformer{}, err
//		}
//		output := append(input.Clone(), plugin.Field{Name: "length", Type: plugin.Int64, Nullable: true})
//		return plugin.Transformer{Output: output, Process: func(batch *plugin.Batch, out *plugin.Output) error {
//			lengths := out.Int64("length")
//			for row, text := range column.Read(batch).All() {
//				...
//			}
//			out.Keep()
//			return nil
//		}}, nil
//	}
//
//	func init() {
//		plugin.Describe("lengths", "0.1.0", "Measures text.")
//		plugin.Transform("length", "Adds the length of a text column.", length)
//	}
//
//	func main() {}
//
// Build it with GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared. Package plugintest runs operators natively.
//
// What is read of a batch (slices, strings) belongs to the call: clone what has to outlive it. A panic becomes an
// error of the call that names the operator, the column that was read last, and the row at which a loop of the kit is.
//
// The module is not published yet: go.mod of a plugin leads to it by a replace line, which `millstream plugin new`
// writes.
package plugin

import "fmt"

// Kind is what an operator does with rows.
type Kind uint8

// The kinds of operator, in the order of the contract.
const (
	KindTransform Kind = iota
	KindAggregate
	KindKeyed
)

func (k Kind) String() string { return [...]string{"transform", "aggregate", "keyed"}[k] }

// Operator is one operator as the host is told of it.
type Operator struct {
	Name, Summary string
	Kind          Kind
	Retracts      bool
	// ConfigSchema makes the JSON Schema of the config.
	ConfigSchema func() string

	open func(config string, keys, input Schema) (*Opened, error)
}

// Description is what the plugin holds.
type Description struct {
	Name, Version, Summary string
	Operators              []Operator
}

var described Description

// Describe names the plugin. Name and operators are made of lower-case letters, digits and hyphens, the version is a
// semantic one.
func Describe(name, version, summary string) {
	described.Name, described.Version, described.Summary = name, version, summary
}

// Described is what has been registered.
func Described() Description { return described }

func register(operator Operator) {
	for _, known := range described.Operators {
		if known.Name == operator.Name {
			panic(fmt.Sprintf("two operators are called %q", operator.Name))
		}
	}
	described.Operators = append(described.Operators, operator)
}

// Transformer is an opened transform: rows in, rows out, nothing remembered.
type Transformer struct {
	// Output is the schema of every batch that Process makes.
	Output Schema
	// Process is called once a batch. An error refuses the whole batch; [Output.Reject] refuses a row.
	Process func(batch *Batch, out *Output) error
}

// Transform registers an operator that remembers nothing. Open is called once an instance with the config, read from
// JSON into C, and the columns of the input; its error is shown to whoever deploys.
func Transform[C any](name, summary string, open func(config C, input Schema) (Transformer, error)) {
	register(Operator{
		Name: name, Summary: summary, Kind: KindTransform,
		ConfigSchema: func() string { return configSchema[C](summary) },
		open: func(config string, _, input Schema) (*Opened, error) {
			parsed, err := parseConfig[C](config)
			if err != nil {
				return nil, err
			}
			transformer, err := open(parsed, input)
			if err != nil {
				return nil, err
			}
			if err := transformer.Output.check(); err != nil {
				return nil, err
			}
			return &Opened{input: input, output: transformer.Output, process: transformer.Process}, nil
		},
	})
}

// Opened is an operator at work, called as the host does; for tests.
type Opened struct {
	name        string
	kind        Kind
	keys, input Schema
	output      Schema
	process     func(*Batch, *Output) error
	aggregate   aggregateCalls
	keyed       keyedCalls
	out         Output
}

// Open finds an operator and opens it.
func Open(kind Kind, name, config string, keys, input Schema) (opened *Opened, err error) {
	defer recovered(&err)
	begin("")
	for _, operator := range described.Operators {
		if operator.Name != name {
			continue
		}
		if operator.Kind != kind {
			return nil, fmt.Errorf("the operator `%s` is of the kind %s, not %s", name, operator.Kind, kind)
		}
		begin(name)
		opened, err = operator.open(config, keys, input)
		if err == nil {
			opened.name, opened.kind, opened.keys = name, kind, keys
		}
		return opened, err
	}
	known := make([]string, len(described.Operators))
	for i, operator := range described.Operators {
		known[i] = operator.Name
	}
	return nil, fmt.Errorf("the plugin `%s` has no operator `%s`; %s", described.Name, name, nearest(name, known))
}

// Output is the schema of what it gives: of a keyed operator, the columns of the key first.
func (o *Opened) Output() Schema { return o.output }

// Process gives a transform a batch.
func (o *Opened) Process(clock Clock, rows int, columns []Buffers) (finished Finished, err error) {
	defer recovered(&err)
	begin(o.name)
	batch := newBatch(o.input, clock, rows, columns)
	o.out.begin(o.output, batch)
	if err := o.process(batch, &o.out); err != nil {
		return Finished{}, within(err)
	}
	return o.out.finish(-1), nil
}
