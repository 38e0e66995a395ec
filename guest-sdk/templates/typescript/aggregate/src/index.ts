/**
 * The share of rows in which something is true. The state is what the rows of a group come to: the host keeps it, and adds up
 * the parts of its workers with `merge`.
 */

import { type OpenedAggregate, Schema, aggregate, boolean, config, describe, field, float64 } from "millstream-plugin";

describe("{{name}}", "0.1.0", "Shares.");

/** How many are true, and how many there are. */
type Counts = [number, number];

aggregate("share", {
  summary: "The share of rows in which a column is true.",
  config: { column: config.string("The boolean column; nulls do not count.") },
  open({ column }, input): OpenedAggregate<Counts> {
    input.need(column, boolean);
    return {
      output: new Schema([field("share", float64)]),
      create: () => [0, 0],
      add([yes, all], row) {
        const value = row[column];
        return value === null ? [yes, all] : [yes + Number(value), all + 1];
      },
      merge: (left, right) => [left[0] + right[0], left[1] + right[1]],
      finish: ([yes, all]) => ({ share: all > 0 ? yes / all : null }),
    };
  },
});
