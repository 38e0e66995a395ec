/** Converts prices. A price below zero is handed back with the reason: it becomes a dead letter, and the rows around it go on. */

import { config, describe, field, float64, transform } from "millstream-plugin";

describe("{{name}}", "0.1.0", "Prices.");

transform("convert", {
  summary: "Adds converted prices.",
  config: {
    column: config.string("The float64 column of prices."),
    rate: config.number("What one of them is worth."),
  },
  // Called once for each instance: checks the config against the input's columns and says what comes out.
  open({ column, rate }, input) {
    input.need(column, float64);
    return {
      output: input.with(field("converted", float64)),
      // Called for each batch.
      process(batch, out) {
        const prices = batch.column(column).map((price) => price as number | null);
        prices.forEach((price, row) => {
          if (price !== null && price < 0) out.reject(row, `the price is ${price}`);
        });
        out.set("converted", prices.map((price) => (price === null ? null : price * rate)));
        out.keep(batch);
      },
    };
  },
});
