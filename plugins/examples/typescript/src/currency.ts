/** `currency`, a map over numbers: the fast way, over a whole column. */

import { config, field, float64, transform } from "millstream-plugin";

transform("currency", {
  summary: "Multiplies a float64 column by a rate.",
  config: {
    column: config.string("The float64 column of prices."),
    rate: config.number("What a price is multiplied by."),
    output: config.string("The name of the new column.").or("converted"),
  },
  open({ column, rate, output }, input) {
    input.need(column, float64);
    return {
      output: input.with(field(output, float64)),
      process(batch, out) {
        const prices = batch.column(column);
        if (prices.hasNulls) {
          out.set(output, prices.map((price) => (price === null ? null : (price as number) * rate)));
        } else {
          const values = prices.numbers as Float64Array;
          const converted = new Float64Array(values.length);
          for (let row = 0; row < values.length; row++) converted[row] = values[row] * rate;
          out.set(output, converted);
        }
        out.keep(batch);
      },
    };
  },
});
