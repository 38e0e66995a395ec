/** Aggregates: rows of groups to states, states to results. Over rows, or over columns. */

import { Batch, Buffers } from "./columns.js";
import { OperatorError } from "./errors.js";
import { Opened } from "./opened.js";
import { Made, Output } from "./output.js";
import { OpenedAggregate, OpenedColumnAggregate } from "./registry.js";
import { States, decode, encode, fromBytes, fromFixed } from "./states.js";
import { Schema } from "./types.js";

type AnyAggregate = OpenedAggregate<unknown> | OpenedColumnAggregate;

const isColumnar = (one: AnyAggregate): one is OpenedColumnAggregate => "accumulate" in one;

/** An aggregate at work. */
export class RunningAggregate extends Opened<AnyAggregate> {
  constructor(name: string, config: string, input: Schema) {
    super("aggregate", name, config, input);
  }

  get output(): Schema {
    return this.made.output;
  }

  /** Adds rows; `groups` says to which state each row belongs. */
  accumulate(states: States, groups: Uint32Array, batch: Batch): Buffers {
    const one = this.made;
    if (isColumnar(one)) {
      const numbers = this.told(() => states.fixed(one.width));
      this.told(() => one.accumulate(numbers, groups, batch), batch);
      return fromFixed(numbers, one.width);
    }
    const changed = this.told(() => states.toArray().map((state) => this.decoded(one, state)));
    this.told(() => {
      let number = 0;
      for (const row of batch.rows()) {
        const group = groups[number++];
        changed[group] = one.add(changed[group], row);
      }
    }, batch);
    return this.told(() => fromBytes(changed.map(encode)));
  }

  /** Adds the states of the right to those of the left, pairwise. */
  merge(left: States, right: States): Buffers {
    return this.pairwise("merge", left, right);
  }

  /** Takes the states of the right out of those of the left, pairwise: the inverse of `merge`. */
  retract(left: States, right: States): Buffers {
    return this.pairwise("retract", left, right);
  }

  /** One row a state. */
  finish(states: States): Made {
    const one = this.made;
    return this.told(() => {
      const out = new Output(this.output, states.length);
      if (isColumnar(one)) {
        one.finish(states.fixed(one.width), out);
      } else {
        const rows = states.toArray().map((state) => one.finish(this.decoded(one, state)));
        for (const name of this.output.names) out.set(name, rows.map((row) => row[name]));
      }
      return out.finish();
    });
  }

  private pairwise(change: "merge" | "retract", left: States, right: States): Buffers {
    const one = this.made;
    return this.told(() => {
      if (!one[change]) throw new OperatorError("what was added cannot be taken out again: there is no `retract`");
      if (isColumnar(one)) {
        const numbers = left.fixed(one.width);
        one[change]!(numbers, right.fixed(one.width));
        return fromFixed(numbers, one.width);
      }
      const others = right.toArray();
      const changed = left.toArray().map((state, group) => {
        const other = others[group];
        return other ? encode(one[change]!(this.decoded(one, state), decode(other))) : state;
      });
      return fromBytes(changed);
    });
  }

  private decoded(one: OpenedAggregate<unknown>, state: Uint8Array | null): unknown {
    return state ? decode(state) : one.create();
  }
}
