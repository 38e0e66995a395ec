/** `hostile-keyed`: state by key that does what it must not do, at rows and at timers. */

import { type OpenedKeyed, Schema, config, field, int64, keyed, timestamp, utf8 } from "millstream-plugin";

const DEEDS = ["nothing", "throw", "throw-timer", "null", "overflow"] as const;

keyed("hostile-keyed", {
  summary: "Counts the rows of a key, or breaks in the way that it is told.",
  config: {
    do: config.oneOf(DEEDS, "What to do."),
    column: config.string("A text column; with `throw`, the text `bad` in it is what breaks."),
    time: config.string("A timestamp column; with `throw-timer`, each row sets a timer a millisecond later."),
  },
  open({ do: deed, column, time }, _keys, input): OpenedKeyed<number> {
    input.need(column, utf8);
    input.need(time, timestamp);
    return {
      output: new Schema([field("n", int64, false)]),
      onRow(key, row) {
        if (deed === "throw" && row[column] === "bad") throw new Error("a bad row");
        key.state = (key.state ?? 0) + 1;
        const at = row[time] as bigint | null;
        if (deed === "throw-timer" && at !== null) key.setTimer(at + 1000n);
        key.emit({ n: deed === "null" ? null : deed === "overflow" ? 2n ** 63n : key.state });
      },
      onTimer() {
        throw new Error("a bad timer");
      },
    };
  },
});
