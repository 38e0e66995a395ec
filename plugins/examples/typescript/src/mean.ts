/** `mean`, an aggregate over columns: a sum and a count for each group. */

import { type OpenedColumnAggregate, Schema, aggregate, config, field, float64, int64 } from "millstream-plugin";

aggregate("mean", {
  summary: "The mean of a number column, without its nulls.",
  config: { column: config.string("The column: int64 or float64.") },
  open({ column }, input): OpenedColumnAggregate {
    input.need(column, int64, float64);
    return {
      output: new Schema([field("mean", float64)]),
      // A sum and a count; a count is exact as a float up to 2^53.
      width: 2,
      accumulate(states, groups, batch) {
        const values = batch.column(column);
        const { numbers, hasNulls } = values;
        for (let row = 0; row < groups.length; row++) {
          if (hasNulls && values.isNull(row)) continue;
          states[2 * groups[row]] += Number(numbers[row]);
          states[2 * groups[row] + 1] += 1;
        }
      },
      merge: (states, others) => others.forEach((value, place) => (states[place] += value)),
      finish(states, out) {
        const means: (number | null)[] = [];
        for (let place = 0; place < states.length; place += 2) {
          means.push(states[place + 1] > 0 ? states[place] / states[place + 1] : null);
        }
        out.set("mean", means);
      },
    };
  },
});
