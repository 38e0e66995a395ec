/** Aggregates: rows of groups to states, states to results. Over rows, or over columns. */

import { Batch, Buffers } from "./columns.js";
import { OperatorError, atOnce, placed } from "./errors.js";
import { Opened } from "./opened.js";
import { Made, Output } from "./output.js";
import { OpenedAggregate, OpenedColumnAggregate } from "./registry.js";
import { States, decode, encode, fromBytes, fromFixed } from "./states.js";
import { asRow } from "./transforms.js";
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
      this.reading(batch, () => atOnce(one.accumulate(numbers, groups, batch)));
      return fromFixed(numbers, one.width);
    }
    const changed = this.each(stateIn(), (state) => this.decoded(one, state), states.toArray());
    let number = 0;
    this.told(
      () => {
        for (const row of batch.rows()) {
          const group = groups[number];
          changed[group] = atOnce(one.add(changed[group], row));
          number++;
        }
      },
      () => placed([], number),
    );
    return fromBytes(this.each(stateIn(), encode, changed));
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
    const out = new Output(this.output, states.length);
    if (isColumnar(one)) {
      this.told(() => atOnce(one.finish(states.fixed(one.width), out)), () => "finish");
    } else {
      const finished = (state: Uint8Array | null) => asRow(atOnce(one.finish(this.decoded(one, state))));
      const rows = this.each(stateIn("finish"), finished, states.toArray());
      for (const name of this.output.names) out.set(name, rows.map((row) => row[name]));
    }
    return this.told(() => out.finish());
  }

  private pairwise(change: "merge" | "retract", left: States, right: States): Buffers {
    const one = this.made;
    this.told(() => {
      if (!one[change]) throw new OperatorError("what was added cannot be taken out again: there is no `retract`");
    });
    if (isColumnar(one)) {
      return this.told(() => {
        const numbers = left.fixed(one.width);
        atOnce(one[change]!(numbers, right.fixed(one.width)));
        return fromFixed(numbers, one.width);
      }, () => change);
    }
    const others = right.toArray();
    const changed = (state: Uint8Array | null, group: number) => {
      const other = others[group];
      return other ? encode(atOnce(one[change]!(this.decoded(one, state), decode(other)))) : state;
    };
    return fromBytes(this.each(stateIn(change), changed, left.toArray()));
  }

  private decoded(one: OpenedAggregate<unknown>, state: Uint8Array | null): unknown {
    return state ? decode(state) : atOnce(one.create());
  }
}

/** The place of a state, in words. */
const stateIn = (change = "") => (number: number) => `${change && `${change}, `}state ${number}`;
