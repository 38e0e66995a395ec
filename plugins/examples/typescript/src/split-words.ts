/** `split-words`, a flat map: one row in, any number of rows out. */

import { Schema, config, field, transform, utf8 } from "millstream-plugin";

transform("split-words", {
  summary: "One row for each word of a text column; words are separated by spaces.",
  config: {
    column: config.string("The text column."),
    output: config.string("The name of the output column.").or("word"),
  },
  open({ column, output }, input) {
    input.need(column, utf8);
    return {
      output: new Schema([field(output, utf8, false)]),
      process(batch, out) {
        const texts = batch.column(column).toArray();
        // Between two spaces, and in no text at all, is an empty word.
        const words = texts.join(" ").split(" ");
        out.flat();
        out.set(output, words.includes("") ? words.filter((word) => word !== "") : words);
      },
    };
  },
});
