package plugin

import "fmt"

// Aggregator reduces the rows of a group to one result. Its states are values of S, which is zero for a group without
// rows. Adding rows in parts and merging the parts must give what adding them all to one state gives.
type Aggregator[S any] struct {
	// Output is the schema of the result.
	Output Schema
	// Accumulate adds row r of the batch to states[groups[r]].
	Accumulate func(states []S, groups []uint32, batch *Batch) error
	// Merge adds others[i] to states[i].
	Merge func(states, others []S) error
	// Retract takes others[i] out of states[i] again; nil unless the operator was registered with [Retracts].
	Retract func(states, others []S) error
	// Finish builds one row a state. The states stay as they are.
	Finish func(states []S, out *Output) error
}

// Retracts says that an aggregate has Retract, which makes sliding windows cheap.
const Retracts = true

type aggregateCalls struct {
	accumulate func(states Buffers, groups []uint32, batch *Batch) (Buffers, error)
	merge      func(left, right Buffers) (Buffers, error)
	retract    func(left, right Buffers) (Buffers, error)
	finish     func(states Buffers, out *Output) (int, error)
}

// Aggregate registers an operator with a state a group.
func Aggregate[C, S any](name, summary string, open func(config C, input Schema) (Aggregator[S], error), retracts ...bool) {
	register(Operator{
		Name: name, Summary: summary, Kind: KindAggregate, Retracts: len(retracts) > 0 && retracts[0],
		ConfigSchema: func() string { return configSchema[C](summary) },
		open: func(config string, _, input Schema) (*Opened, error) {
			parsed, err := parseConfig[C](config)
			if err != nil {
				return nil, err
			}
			aggregator, err := open(parsed, input)
			if err != nil {
				return nil, err
			}
			if err := aggregator.Output.check(); err != nil {
				return nil, err
			}
			codec, err := codecOf[S]()
			if err != nil {
				return nil, err
			}
			return &Opened{input: input, output: aggregator.Output, aggregate: aggregator.calls(codec)}, nil
		},
	})
}

func (a Aggregator[S]) calls(codec codec[S]) aggregateCalls {
	pairs := func(act func(states, others []S) error, left, right Buffers) (Buffers, error) {
		states, column, err := decodeStates(codec, left)
		if err != nil {
			return Buffers{}, err
		}
		others, _, err := decodeStates(codec, right)
		if err != nil {
			return Buffers{}, err
		}
		if len(states) != len(others) {
			return Buffers{}, fmt.Errorf("%d states with %d others", len(states), len(others))
		}
		if act == nil {
			return Buffers{}, fmt.Errorf("this aggregate cannot take out what was put in")
		}
		if err := act(states, others); err != nil {
			return Buffers{}, err
		}
		return encodeStates(codec, column, states)
	}
	return aggregateCalls{
		accumulate: func(given Buffers, groups []uint32, batch *Batch) (Buffers, error) {
			states, column, err := decodeStates(codec, given)
			if err != nil {
				return Buffers{}, err
			}
			for row, group := range groups {
				if int(group) >= len(states) {
					fail("", row, "group %d of %d", group, len(states))
				}
			}
			if err := a.Accumulate(states, groups, batch); err != nil {
				return Buffers{}, err
			}
			return encodeStates(codec, column, states)
		},
		merge:   func(left, right Buffers) (Buffers, error) { return pairs(a.Merge, left, right) },
		retract: func(left, right Buffers) (Buffers, error) { return pairs(a.Retract, left, right) },
		finish: func(given Buffers, out *Output) (int, error) {
			states, _, err := decodeStates(codec, given)
			if err != nil {
				return 0, err
			}
			return len(states), a.Finish(states, out)
		},
	}
}

// decodeStates reads states; those of fixed width are not copied unless some are new.
func decodeStates[S any](c codec[S], column Buffers) ([]S, stateColumn, error) {
	given := readStates(column)
	count := given.len()
	if c.width > 0 && !c.slice && len(column.Values) == count*c.width {
		for i := range count {
			if int(given.offsets[i]) != i*c.width {
				return nil, given, fmt.Errorf("state %d is no state of this version", i)
			}
		}
		return cast[S](column.Values)[:count:count], given, nil
	}
	states := make([]S, count)
	for i := range count {
		if state, ok := given.at(i); ok {
			value, err := c.read(state, i)
			if err != nil {
				return nil, given, err
			}
			states[i] = value
		}
	}
	return states, given, nil
}

func encodeStates[S any](c codec[S], given stateColumn, states []S) (Buffers, error) {
	if c.width > 0 && !c.slice {
		offsets := given.offsets
		if len(given.column.Values) != len(states)*c.width {
			offsets = make([]uint32, len(states)+1)
			for i := range offsets {
				offsets[i] = uint32(i * c.width)
			}
		}
		return Buffers{Offsets: bytesOf(offsets), Values: bytesOf(states)}, nil
	}
	pointers := make([]*S, len(states))
	for i := range states {
		pointers[i] = &states[i]
	}
	return columnOf(c, pointers)
}

// Accumulate adds rows to states, as the host does.
func (o *Opened) Accumulate(states Buffers, groups []uint32, rows int, columns []Buffers) (answer Buffers, err error) {
	defer recovered(&err)
	begin(o.name)
	batch := newBatch(o.input, Clock{}, rows, columns)
	if len(groups) != rows {
		fail("", -1, "there are %d groups for %d rows", len(groups), rows)
	}
	return told(o.aggregate.accumulate(states, groups, batch))
}

// Merge adds states to states.
func (o *Opened) Merge(left, right Buffers) (answer Buffers, err error) {
	defer recovered(&err)
	begin(o.name)
	return told(o.aggregate.merge(left, right))
}

// Retract takes states out of states.
func (o *Opened) Retract(left, right Buffers) (answer Buffers, err error) {
	defer recovered(&err)
	begin(o.name)
	return told(o.aggregate.retract(left, right))
}

// Finish makes a row of each state.
func (o *Opened) Finish(states Buffers) (finished Finished, err error) {
	defer recovered(&err)
	begin(o.name)
	o.out.begin(o.output, nil)
	rows, err := o.aggregate.finish(states, &o.out)
	if err != nil {
		return Finished{}, within(err)
	}
	if rows == 0 {
		// Without states nothing was appended, and the columns are there all the same.
		o.out.Build()
	}
	return o.out.finish(rows), nil
}

func told(answer Buffers, err error) (Buffers, error) {
	if err != nil {
		err = within(err)
	}
	return answer, err
}
