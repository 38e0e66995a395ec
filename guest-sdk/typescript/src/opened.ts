/** What operators of all kinds have in common once they are opened: config, names, and errors with their place. */

import { Batch } from "./columns.js";
import { readConfig } from "./config.js";
import { OperatorError, described } from "./errors.js";
import { Kind, find } from "./registry.js";
import { Schema } from "./types.js";

/** What an operator says are its output's columns; in JavaScript it could be anything. */
function check(output: unknown): void {
  if (!(output instanceof Schema)) throw new OperatorError("`open` must return an object with `output`, a Schema");
  for (const one of output) {
    if (typeof one.name !== "string" || typeof one.type?.format !== "string" || typeof one.nullable !== "boolean") {
      throw new OperatorError(`the output has a column that is none: ${JSON.stringify(one)}`);
    }
  }
}

/** An operator that has accepted its config and its input. */
export abstract class Opened<T extends { output: Schema }> {
  protected readonly made: T;

  constructor(
    kind: Kind,
    readonly name: string,
    config: string,
    ...schemas: Schema[]
  ) {
    this.made = this.told(() => {
      const found = find(kind, name);
      const made = found.open(readConfig(found.config, config), ...schemas) as T;
      check(made?.output);
      return made;
    });
  }

  /** What operator code throws becomes one error that names the operator, the columns and the row. */
  protected told<Answer>(call: () => Answer, batch?: Batch): Answer {
    try {
      return call();
    } catch (error) {
      const words = described(error, batch?.place() ?? "");
      throw new OperatorError(`operator \`${this.name}\`: ${words}`, { cause: error });
    }
  }
}
