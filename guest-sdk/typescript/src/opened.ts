/** What operators of all kinds have in common once they are opened: config, names, and errors with their place. */

import { Batch } from "./columns.js";
import { readConfig } from "./config.js";
import { OperatorError, ToldError, atOnce, described } from "./errors.js";
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
      const made = atOnce(found.open(readConfig(found.config, config), ...schemas)) as T;
      check(made?.output);
      return made;
    });
  }

  /** What operator code throws becomes one error that names the operator, and the place where the kit called it. */
  protected told<Answer>(call: () => Answer, place: () => string = () => ""): Answer {
    try {
      return call();
    } catch (error) {
      throw this.error(error, described(error, place()));
    }
  }

  /** The same for code that reads columns: the error names those that it was reading, and the row. */
  protected reading<Answer>(batch: Batch, call: () => Answer): Answer {
    try {
      return call();
    } catch (error) {
      const place = batch.place(error);
      throw this.error(error, described(error, place, place ? "" : batch.lastRead()));
    }
  }

  /** Calls for each of these; an error names its place. */
  protected each<From, To>(place: (number: number) => string, call: (one: From, number: number) => To, from: readonly From[]): To[] {
    let number = 0;
    return this.told(
      () => from.map((one) => {
        const made = call(one, number);
        number++;
        return made;
      }),
      () => place(number),
    );
  }

  private error(cause: unknown, words: string): ToldError {
    return new ToldError(`operator \`${this.name}\`: ${words}`, { cause });
  }
}
