package main

import (
	"errors"
	"math"
	"slices"

	"millstream/plugin"
)

type Sessions struct {
	Time  string `json:"time" doc:"The timestamp column."`
	GapMs uint32 `json:"gap_ms" doc:"The gap, in milliseconds." min:"0" max:"4294967295"`
}

// session is an open one. The state of a key is those that are not over, by time: more than one only while rows come
// out of order.
type session struct {
	Start, End plugin.Timestamp
	Count      int64
}

func sessions(config Sessions, _, input plugin.Schema) (operator plugin.KeyedOperator[[]session], err error) {
	if _, err := input.Timestamp(config.Time); err != nil {
		return operator, err
	}
	if config.GapMs == 0 {
		return operator, errors.New("config.gap_ms is 0: every row would be a session")
	}
	gap := gap(config.GapMs) * 1000
	operator.Output = plugin.Schema{
		{Name: "start", Type: plugin.TimestampUTC}, {Name: "end", Type: plugin.TimestampUTC}, {Name: "count", Type: plugin.Int64},
	}
	operator.OnRow = func(key *plugin.Key[[]session], row plugin.Row) error {
		at, ok := row.Timestamp(config.Time)
		if !ok {
			key.Reject(row, "`%s` is null", config.Time)
			return nil
		}
		var open []session
		if key.State != nil {
			open = *key.State
		}
		open = gap.add(open, at)
		key.State = &open
		key.SetTimer(gap.over(open[0]))
		return nil
	}
	operator.OnTimer = func(key *plugin.Key[[]session], at plugin.Timestamp) error {
		// The clock may be further than the timer.
		now := at
		if clock := key.Clock(); clock.HasWatermark {
			now = max(now, clock.Watermark)
		}
		var open []session
		if key.State != nil {
			open = *key.State
		}
		open = slices.DeleteFunc(open, func(one session) bool {
			over := gap.over(one) <= now
			if over {
				key.Emit(one.Start, one.End, one.Count)
			}
			return over
		})
		key.State = nil
		if len(open) > 0 {
			key.State = &open
			key.SetTimer(gap.over(open[0]))
		}
		return nil
	}
	return operator, nil
}

// gap is in microseconds.
type gap plugin.Timestamp

// over is when a session is over, if nothing comes.
func (g gap) over(one session) plugin.Timestamp {
	if one.End > math.MaxInt64-plugin.Timestamp(g) {
		return math.MaxInt64
	}
	return one.End + plugin.Timestamp(g)
}

// add adds a row to the open sessions, which it may join.
func (g gap) add(open []session, at plugin.Timestamp) []session {
	joined := session{at, at, 1}
	open = slices.DeleteFunc(open, func(one session) bool {
		if g.over(one) <= joined.Start || g.over(joined) <= one.Start {
			return false
		}
		joined = session{min(joined.Start, one.Start), max(joined.End, one.End), joined.Count + one.Count}
		return true
	})
	place, _ := slices.BinarySearchFunc(open, joined.Start, func(one session, start plugin.Timestamp) int {
		if one.Start < start {
			return -1
		}
		return 1
	})
	return slices.Insert(open, place, joined)
}
