/** `sessions`, a keyed operator with timers: rows of a key with less than a gap between them. */

import { type OpenedKeyed, OperatorError, Reject, Schema, config, field, int64, keyed, timestamp } from "millstream-plugin";

/** Times in microseconds since 1970. */
interface Session {
  start: bigint;
  end: bigint;
  count: bigint;
}

const lesser = (one: bigint, other: bigint) => (one < other ? one : other);
const greater = (one: bigint, other: bigint) => (one > other ? one : other);

keyed("sessions", {
  summary: "One row for each session of a key, once the clock has passed its last row by the gap.",
  config: { time: config.string("The timestamp column."), gap_ms: config.integer("The gap, in milliseconds.") },
  open({ time, gap_ms }, _keys, input): OpenedKeyed<Session[]> {
    input.need(time, timestamp);
    if (gap_ms < 1) throw new OperatorError(`config.gap_ms is ${gap_ms}: every row would be a session`);
    const gap = BigInt(gap_ms) * 1000n;
    return {
      output: new Schema([field("start", timestamp, false), field("end", timestamp, false), field("count", int64, false)]),

      // The state: open sessions by time. More than one only while rows come out of order.
      onRow(key, row) {
        const at = row[time] as bigint | null;
        if (at === null) throw new Reject(`\`${time}\` is null`);
        let joined: Session = { start: at, end: at, count: 1n };
        const apart: Session[] = [];
        for (const session of key.state ?? []) {
          if (session.end + gap <= joined.start || joined.end + gap <= session.start) {
            apart.push(session);
            continue;
          }
          const { start, end, count } = joined;
          joined = { start: lesser(start, session.start), end: greater(end, session.end), count: count + session.count };
        }
        const place = apart.findIndex((session) => session.start >= joined.start);
        apart.splice(place < 0 ? apart.length : place, 0, joined);
        key.state = apart;
        key.setTimer(apart[0].end + gap);
      },

      // The clock may be further than the timer.
      onTimer(key, at) {
        const now = key.clock.watermark === null ? at : greater(at, key.clock.watermark);
        const open = key.state ?? [];
        for (const session of open) if (session.end + gap <= now) key.emit({ ...session });
        const left = open.filter((session) => session.end + gap > now);
        key.state = left.length > 0 ? left : null;
        if (left.length > 0) key.setTimer(left[0].end + gap);
      },
    };
  },
});
