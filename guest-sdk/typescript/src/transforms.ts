/** Transforms: rows in, rows out, nothing remembered. */

import { Batch, Row, Value } from "./columns.js";
import { OperatorError, Reject, atOnce } from "./errors.js";
import { Opened } from "./opened.js";
import { Made, Output, Rejection } from "./output.js";
import { OpenedTransform } from "./registry.js";
import { Schema } from "./types.js";

/**
 * A transform that works row by row: `each` gives a row, several, or none, and throws a `Reject` to hand the row
 * back. For convenience: columns are several times as fast.
 */
export function mapRows(output: Schema, each: (row: Row) => Row | Row[] | null | undefined): OpenedTransform {
  const { names } = output;
  return {
    output,
    process(batch, out) {
      const columns: Value[][] = names.map(() => []);
      let number = 0;
      for (const row of batch.rows()) {
        try {
          const made = atOnce(each(row)) ?? [];
          for (const one of Array.isArray(made) ? made : [made]) push(output, columns, one);
        } catch (error) {
          if (!(error instanceof Reject)) {
            batch.breaks(error, number);
            throw error;
          }
          out.reject(number, error.message);
        }
        number++;
      }
      out.flat();
      names.forEach((name, place) => out.set(name, columns[place]));
    },
  };
}

/** A row to columns; a column that is left out is null. */
export function push(output: Schema, columns: Value[][], row: Row): void {
  for (const name of Object.keys(asRow(row))) {
    if (!output.has(name)) throw new OperatorError(`there is no output column \`${name}\``);
  }
  output.fields.forEach(({ name }, place) => columns[place].push(row[name] ?? null));
}

/** What operator code gave as a row; in JavaScript it could be anything. */
export function asRow(row: Row): Row {
  if (typeof row !== "object" || row === null) throw new OperatorError(`a row is an object, not ${String(row).slice(0, 100)}`);
  return row;
}

/** A transform at work. */
export class RunningTransform extends Opened<OpenedTransform> {
  constructor(name: string, config: string, input: Schema) {
    super("transform", name, config, input);
    this.told(() => {
      if (typeof this.made.process !== "function") throw new OperatorError("`open` must return `process`, a function");
    });
  }

  get output(): Schema {
    return this.made.output;
  }

  /** The rows that go on, and the rejected ones. */
  process(batch: Batch): Made & { rejected: Rejection[] } {
    const out = new Output(this.output, batch.length);
    this.reading(batch, () => atOnce(this.made.process(batch, out)));
    return this.told(() => ({ ...out.finish(), rejected: out.rejected() }));
  }
}
