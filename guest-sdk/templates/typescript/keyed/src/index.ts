/**
 * Tells which keys have been silent for a while. The host keeps a state and a timer for each key; the operator gets them with
 * the rows of the key, and again when the timer is due.
 */

import { type OpenedKeyed, Reject, Schema, config, describe, field, keyed, timestamp } from "millstream-plugin";

describe("{{name}}", "0.1.0", "Silence.");

keyed("silent", {
  summary: "Tells which keys have been silent for a while.",
  config: {
    time: config.string("The timestamp column."),
    after_ms: config.integer("How long, in milliseconds."),
  },
  /** The state is the time of the last row, in microseconds. */
  open({ time, after_ms }, _keys, input): OpenedKeyed<bigint> {
    input.need(time, timestamp);
    return {
      output: new Schema([field("since", timestamp, false)]),
      onRow(key, row) {
        const at = row[time] as bigint | null;
        if (at === null) throw new Reject("it has no time");
        key.state = key.state === null || at > key.state ? at : key.state;
        key.setTimer(key.state + BigInt(after_ms) * 1000n);
      },
      onTimer(key) {
        key.emit({ since: key.state });
        // Nothing is kept of a silent key.
        key.state = null;
      },
    };
  },
});
