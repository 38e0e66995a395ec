/** Keyed operators: any state and a timer for each key, kept by the host. */

import { build, taken } from "./builders.js";
import { Batch, Buffers, Clock, Row, Value } from "./columns.js";
import { ColumnError, OperatorError, Reject, atOnce, placed } from "./errors.js";
import { isExact } from "./exact.js";
import { Opened } from "./opened.js";
import { Made, Output, Rejection } from "./output.js";
import { Key, OpenedKeyed } from "./registry.js";
import { States, decode, encode, fromBytes } from "./states.js";
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
    const time = BigInt(at);
    if (BigInt.asIntN(64, time) !== time) throw new OperatorError(`a timer cannot be set to ${at}: it is no int64`);
    if (!isExact(time)) {
      throw new OperatorError(`a timer cannot be set to ${at}: beyond 2^53 (the year 2255) this time is not exact as a number`);
    }
    this.writes.timers.set(this.number, time);
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
    const values = [...turn.keys.rows()];
    const place = (number: number) => keyed(values[number]);
    const states = this.each(place, decodeSome, turn.states.toArray());
    const keys = values.map((each, number) => new KeyInTurn(number, each, states[number], writes));
    this.each((number) => `timer of ${place(turn.due[number].key)}`, ({ key, at }) => this.timer(keys[key], at), turn.due);
    const rejected = this.rows(keys, turn);
    const after = fromBytes(this.each(place, encodeSome, keys.map((key) => key.state)));
    return this.told(() => {
      const { rows, columns } = this.written(writes, place);
      const before = turn.keys.columns.map((column) => build(column.field, taken(column, writes.emitted)));
      const timers = [...writes.timers].map(([key, at]) => ({ key, at }));
      return { rows, columns: [...before, ...columns], states: after, timers, rejected };
    });
  }

  /** States that an earlier version wrote, as this one wants them. */
  migrate(fromVersion: string, states: States): Buffers {
    const { made } = this;
    if (!made.migrate) return states.buffers;
    const moved = (state: Uint8Array | null) => state && encodeSome(atOnce(made.migrate!(fromVersion, decode(state))));
    return fromBytes(this.each((number) => `migrate, state ${number}`, moved, states.toArray()));
  }

  private timer(key: KeyInTurn, at: bigint): void {
    if (!this.made.onTimer) throw new OperatorError("a timer is due, but there is no `onTimer`");
    atOnce(this.made.onTimer(key, at));
  }

  private rows(keys: KeyInTurn[], turn: Turn): Rejection[] {
    const rejected: Rejection[] = [];
    let number = 0;
    this.told(
      () => {
        for (const row of turn.rows.rows()) {
          try {
            atOnce(this.made.onRow(keys[turn.rowKeys[number]], row));
          } catch (error) {
            if (!(error instanceof Reject)) throw error;
            rejected.push({ row: number, reason: error.message });
          }
          number++;
        }
      },
      () => placed([], number),
    );
    return rejected;
  }

  private written(writes: Writes, place: (key: number) => string): Made {
    const out = new Output(this.made.output, writes.emitted.length);
    this.made.output.names.forEach((name, column) => out.set(name, writes.columns[column]));
    try {
      return out.finish();
    } catch (error) {
      if (!(error instanceof ColumnError) || error.row === null) throw error;
      // A row of output alone says little to whoever wrote `emit`; its key does.
      throw new ColumnError(error.column, error.row, error.why, place(writes.emitted[error.row]));
    }
  }
}

const decodeSome = (state: Uint8Array | null): unknown => (state ? decode(state) : null);

const encodeSome = (state: unknown): Uint8Array | null => (state === null || state === undefined ? null : encode(state));

/** A key in words, by its values. */
function keyed(values: Row): string {
  const parts = Object.entries(values).map(([name, value]) => {
    const shown = typeof value === "string" ? JSON.stringify(value.slice(0, 100)) : String(value).slice(0, 100);
    return `\`${name}\` ${shown}`;
  });
  return ["key", ...(parts.length > 0 ? [parts.join(", ")] : [])].join(" ");
}
