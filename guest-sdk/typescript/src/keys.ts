/** Keyed operators: any state and a timer for each key, kept by the host. */

import { build, taken } from "./builders.js";
import { Batch, Buffers, Clock, Row, Value } from "./columns.js";
import { OperatorError, Reject } from "./errors.js";
import { Opened } from "./opened.js";
import { Made, Output, Rejection } from "./output.js";
import { Key, OpenedKeyed } from "./registry.js";
import { States, decode, encoded } from "./states.js";
import { push } from "./transforms.js";
import { Schema } from "./types.js";

/** When the timer of a key is due: its number in the turn, and the time. */
export interface Timer {
  key: number;
  at: bigint;
}

/** What a keyed operator is given at once. */
export interface Turn {
  keys: Batch;
  states: States;
  rows: Batch;
  rowKeys: Uint32Array;
  due: Timer[];
}

/** What it makes of that. */
export interface Outcome extends Made {
  states: Buffers;
  timers: Timer[];
  rejected: Rejection[];
}

/** What a turn writes besides states. */
class Writes {
  readonly columns: Value[][];
  readonly emitted: number[] = [];
  readonly timers = new Map<number, bigint>();

  constructor(
    readonly output: Schema,
    readonly clock: Clock,
  ) {
    this.columns = output.fields.map(() => []);
  }
}

class KeyInTurn implements Key<unknown> {
  constructor(
    readonly number: number,
    readonly values: Row,
    public state: unknown,
    private readonly writes: Writes,
  ) {}

  get clock(): Clock {
    return this.writes.clock;
  }

  setTimer(at: bigint): void {
    if (BigInt.asIntN(64, BigInt(at)) !== BigInt(at)) throw new OperatorError(`a timer cannot be set to ${at}`);
    this.writes.timers.set(this.number, BigInt(at));
  }

  emit(row: Row): void {
    push(this.writes.output, this.writes.columns, row);
    this.writes.emitted.push(this.number);
  }
}

/** A keyed operator at work. */
export class RunningKeyed extends Opened<OpenedKeyed<unknown>> {
  /** The columns of the key, and the operator's own. */
  readonly output: Schema;

  constructor(name: string, config: string, keys: Schema, input: Schema) {
    super("keyed", name, config, keys, input);
    this.output = this.told(() => new Schema([...keys, ...this.made.output]));
  }

  /** A turn: the timers that are due, then the rows in their order. */
  process(turn: Turn): Outcome {
    const writes = new Writes(this.made.output, turn.rows.clock);
    const keys = this.told(() => {
      const values = [...turn.keys.rows()];
      const states = turn.states.toArray();
      return values.map((each, number) => {
        const state = states[number];
        return new KeyInTurn(number, each, state ? decode(state) : null, writes);
      });
    });
    this.told(() => turn.due.forEach(({ key, at }) => this.timer(keys[key], at)));
    const rejected: Rejection[] = [];
    this.told(() => this.rows(keys, turn, rejected), turn.rows);
    return this.told(() => {
      const out = new Output(this.made.output, writes.emitted.length);
      this.made.output.names.forEach((name, place) => out.set(name, writes.columns[place]));
      const { rows, columns } = out.finish();
      const before = turn.keys.columns.map((column) => build(column.field, taken(column, writes.emitted)));
      const timers = [...writes.timers].map(([key, at]) => ({ key, at }));
      const states = encoded(keys.map((key) => key.state));
      return { rows, columns: [...before, ...columns], states, timers, rejected };
    });
  }

  /** States that an earlier version wrote, as this one wants them. */
  migrate(fromVersion: string, states: States): Buffers {
    const { made } = this;
    if (!made.migrate) return states.buffers;
    const moved = (state: Uint8Array | null) => (state ? made.migrate!(fromVersion, decode(state)) : null);
    return this.told(() => encoded(states.toArray().map(moved)));
  }

  private timer(key: KeyInTurn, at: bigint): void {
    if (!this.made.onTimer) throw new OperatorError("a timer is due, but there is no `onTimer`");
    this.made.onTimer(key, at);
  }

  private rows(keys: KeyInTurn[], turn: Turn, rejected: Rejection[]): void {
    let number = 0;
    for (const row of turn.rows.rows()) {
      try {
        this.made.onRow(keys[turn.rowKeys[number]], row);
      } catch (error) {
        if (!(error instanceof Reject)) throw error;
        rejected.push({ row: number, reason: error.message });
      }
      number++;
    }
  }
}
