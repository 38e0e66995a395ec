/** `hostile-sum`: an aggregate that does what it must not do, in each of its functions. */

import { type OpenedColumnAggregate, Schema, aggregate, config, field, int64, utf8 } from "millstream-plugin";

const DEEDS = ["nothing", "throw", "throw-merge", "throw-finish", "null", "overflow"] as const;

aggregate("hostile-sum", {
  summary: "Counts rows, or breaks in the way that it is told.",
  config: {
    do: config.oneOf(DEEDS, "What to do."),
    column: config.string("A text column; with `throw`, the text `bad` in it is what breaks."),
  },
  open({ do: deed, column }, input): OpenedColumnAggregate {
    input.need(column, utf8);
    return {
      output: new Schema([field("n", int64, false)]),
      // The number of rows.
      width: 1,
      accumulate(states, groups, batch) {
        let row = 0;
        for (const text of batch.column(column)) {
          if (deed === "throw" && text === "bad") throw new Error("a bad row");
          states[groups[row++]] += 1;
        }
      },
      merge(states, others) {
        if (deed === "throw-merge") throw new Error("a bad merge");
        others.forEach((rows, group) => (states[group] += rows));
      },
      finish(states, out) {
        if (deed === "throw-finish") throw new Error("a bad finish");
        out.set("n", Array.from(states, (rows) => (deed === "null" ? null : deed === "overflow" ? 2n ** 63n : rows)));
      },
    };
  },
});
