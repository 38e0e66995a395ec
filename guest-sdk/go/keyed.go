package plugin

// KeyedOperator reacts to the rows and the timer of a key, and keeps a state of type S for it.
type KeyedOperator[S any] struct {
	// Output is the columns behind those of the key, which the kit puts first.
	Output Schema
	// OnRow is called for each row in order, after the timer that was due.
	OnRow func(key *Key[S], row Row) error
	// OnTimer is called for a timer that was due at this time; it is gone now.
	OnTimer func(key *Key[S], at Timestamp) error
	// Migrate rewrites a state of an earlier version; nil drops it. Without it the bytes stay as they are.
	Migrate func(fromVersion string, state []byte) (*S, error)
}

// Key is one key, for one call.
type Key[S any] struct {
	// State is what is kept of the key; nil removes it.
	State *S

	index int
	turn  *turnAtWork
}

// Timer is a time at which a key wants to be called.
type Timer struct {
	Key uint32
	At  Timestamp
}

// Turn is what a keyed operator is given at once.
type Turn struct {
	KeyCount int
	Keys     []Buffers
	States   Buffers
	RowCount int
	Rows     []Buffers
	// RowKeys is the key of each row.
	RowKeys []uint32
	Due     []Timer
}

// Outcome is what a keyed operator makes of a turn.
type Outcome struct {
	Finished
	States Buffers
	Timers []Timer
}

type turnAtWork struct {
	keys, rows *Batch
	out        *Output
	emitted    []uint32
	timers     []Timer
}

type keyedCalls struct {
	process func(turn *turnAtWork, states Buffers, rowKeys []uint32, due []Timer) (Buffers, error)
	migrate func(fromVersion string, states Buffers) (Buffers, error)
	behind  Schema
}

// Columns is the row of the key's columns.
func (k *Key[S]) Columns() Row { return k.turn.keys.Row(k.index) }

// Clock is that of the micro-batch.
func (k *Key[S]) Clock() Clock { return k.turn.rows.clock }

// SetTimer sets the key's timer; an earlier one is replaced.
func (k *Key[S]) SetTimer(at Timestamp) {
	k.turn.timers = append(k.turn.timers, Timer{uint32(k.index), at})
}

// Reject hands a row back to the host as a dead letter.
func (k *Key[S]) Reject(row Row, format string, arguments ...any) {
	k.turn.out.Reject(row.index, format, arguments...)
}

// Emit adds a row to the output: the columns of the key, and these values in the order of the output's columns, as
// [Output.Append] takes them.
func (k *Key[S]) Emit(values ...any) {
	out := k.turn.out
	if len(values) != len(out.schema) {
		fail("", -1, "a row of %d values for %d columns", len(values), len(out.schema))
	}
	for i, value := range values {
		out.Append(out.schema[i].Name, value)
	}
	k.turn.emitted = append(k.turn.emitted, uint32(k.index))
}

// Keyed registers an operator with a state and a timer a key.
func Keyed[C, S any](name, summary string, open func(config C, keys, input Schema) (KeyedOperator[S], error)) {
	register(Operator{
		Name: name, Summary: summary, Kind: KindKeyed,
		ConfigSchema: func() string { return configSchema[C](summary) },
		open: func(config string, keys, input Schema) (*Opened, error) {
			parsed, err := parseConfig[C](config)
			if err != nil {
				return nil, err
			}
			operator, err := open(parsed, keys, input)
			if err != nil {
				return nil, err
			}
			output := append(keys.Clone(), operator.Output...)
			if err := output.check(); err != nil {
				return nil, err
			}
			codec, err := codecOf[S]()
			if err != nil {
				return nil, err
			}
			calls := operator.calls(codec)
			calls.behind = operator.Output
			return &Opened{input: input, output: output, keyed: calls}, nil
		},
	})
}

func (k KeyedOperator[S]) calls(codec codec[S]) keyedCalls {
	return keyedCalls{
		process: func(turn *turnAtWork, given Buffers, rowKeys []uint32, due []Timer) (Buffers, error) {
			column := readStates(given)
			states := make([]*S, column.len())
			for i := range states {
				if bytes, ok := column.at(i); ok {
					state, err := codec.read(bytes, i)
					if err != nil {
						return Buffers{}, err
					}
					states[i] = &state
				}
			}
			key := Key[S]{turn: turn}
			at := func(index uint32) *Key[S] {
				if int(index) >= len(states) {
					fail("", -1, "key %d of %d", index, len(states))
				}
				key.index, key.State = int(index), states[index]
				place.column = ""
				return &key
			}
			for _, timer := range due {
				if k.OnTimer == nil {
					fail("", -1, "a timer is due, but the operator has no OnTimer")
				}
				if err := k.OnTimer(at(timer.Key), timer.At); err != nil {
					return Buffers{}, err
				}
				states[timer.Key] = key.State
			}
			for row, index := range rowKeys {
				place.row = row
				if err := k.OnRow(at(index), turn.rows.Row(row)); err != nil {
					return Buffers{}, err
				}
				states[index] = key.State
			}
			place.column, place.row = "", -1
			return columnOf(codec, states)
		},
		migrate: func(fromVersion string, given Buffers) (Buffers, error) {
			if k.Migrate == nil {
				return given, nil
			}
			column := readStates(given)
			states := make([]*S, column.len())
			for i := range states {
				if bytes, ok := column.at(i); ok {
					state, err := k.Migrate(fromVersion, bytes)
					if err != nil {
						return Buffers{}, err
					}
					states[i] = state
				}
			}
			return columnOf(codec, states)
		},
	}
}

// Turn gives a keyed operator a turn, as the host does.
func (o *Opened) Turn(clock Clock, turn Turn) (outcome Outcome, err error) {
	defer recovered(&err)
	begin(o.name)
	keys := newBatch(o.keys, clock, turn.KeyCount, turn.Keys)
	keys.isKeys = true
	rows := newBatch(o.input, clock, turn.RowCount, turn.Rows)
	if len(turn.RowKeys) != turn.RowCount {
		fail("", -1, "there are %d keys for %d rows", len(turn.RowKeys), turn.RowCount)
	}
	o.out.begin(o.keyed.behind, rows)
	for _, builder := range o.out.builders[:len(o.keyed.behind)] {
		builder.started = true
	}
	work := turnAtWork{keys: keys, rows: rows, out: &o.out}
	states, err := o.keyed.process(&work, turn.States, turn.RowKeys, turn.Due)
	if err != nil {
		return Outcome{}, within(err)
	}
	finished := o.out.finish(len(work.emitted))
	columns := make([]Buffers, 0, len(o.output))
	for i, field := range o.keys {
		columns = append(columns, choose(turn.Keys[i], field.Type, work.emitted))
	}
	finished.Columns = append(columns, finished.Columns...)
	return Outcome{finished, states, work.timers}, nil
}

// Migrate rewrites states of an earlier version.
func (o *Opened) Migrate(fromVersion string, states Buffers) (answer Buffers, err error) {
	defer recovered(&err)
	begin(o.name)
	return told(o.keyed.migrate(fromVersion, states))
}
