/** The component's exports: the contract's types to the kit's and back. Imported only inside a component. */

import { RunningAggregate } from "./aggregates.js";
import { Batch, Buffers } from "./columns.js";
import { described } from "./errors.js";
import { GivenClock, clockOf, timeOf } from "./exact.js";
import { Host, connect } from "./host.js";
import { RunningKeyed, Timer } from "./keys.js";
import { Rejection } from "./output.js";
import { plugin } from "./registry.js";
import { States } from "./states.js";
import { RunningTransform } from "./transforms.js";
import { Schema, ofFormat } from "./types.js";

export { kinds, plugin } from "./registry.js";

interface WitField {
  name: string;
  dataType: string;
  nullable: boolean;
}

interface WitBatch {
  rows: number;
  columns: Buffers[];
}

interface WitTurn {
  keys: WitBatch;
  states: Buffers;
  rows: WitBatch;
  rowKeys: Uint8Array;
  due: { key: number; at: number }[];
}

/** The operator of this instance: the host opens one, once. */
let input: Schema;
let keys: Schema;
let opened: unknown;

/** What the kit and operators say of an error becomes the error of the call. */
function told<Arguments extends unknown[], Answer>(call: (...given: Arguments) => Answer) {
  return (...given: Arguments): Answer => {
    try {
      return call(...given);
    } catch (error) {
      throw new Error(described(error).toWellFormed());
    }
  };
}

const schemaOf = (fields: WitField[]): Schema =>
  new Schema(fields.map(({ name, dataType, nullable }) => ({ name, type: ofFormat(name, dataType), nullable })));

const promised = (schema: Schema): WitField[] =>
  schema.fields.map(({ name, type, nullable }) => ({ name: name.toWellFormed(), dataType: type.format, nullable }));

const batchOf = (schema: Schema, { rows, columns }: WitBatch, clock?: GivenClock): Batch =>
  new Batch(schema, rows, columns, clock && clockOf(clock));

/** With half characters (lone surrogates) text cannot leave the component. */
const whole = (rejected: Rejection[]): Rejection[] =>
  rejected.map(({ row, reason }) => ({ row, reason: reason.toWellFormed() }));

const statesOf = (column: Buffers): States => new States(Math.max(column.offsets.length / 4 - 1, 0), column);

const numbersOf = (bytes: Uint8Array): Uint32Array => new Uint32Array(bytes.slice().buffer as ArrayBuffer);

/** What every plugin has. */
export const catalog = {
  describe() {
    const operators = [...plugin.operators].map(([name, { kind, summary, config, retracts }]) => ({
      name,
      kind,
      summary,
      configSchema: JSON.stringify(config.schema),
      retracts,
    }));
    return { name: plugin.name, version: plugin.version, summary: plugin.summary, operators };
  },
};

const aTransform = () => opened as RunningTransform;

/** Rows in, rows out. */
export const transform = {
  open: told((name: string, config: string, fields: WitField[]) => {
    input = schemaOf(fields);
    opened = new RunningTransform(name, config, input);
    return promised(aTransform().output);
  }),
  process: told((clock: GivenClock, batch: WitBatch) => {
    const { rejected, ...made } = aTransform().process(batchOf(input, batch, clock));
    return { batch: made, rejected: whole(rejected) };
  }),
};

const anAggregate = () => opened as RunningAggregate;

/** Rows of groups to states, states to results. */
export const aggregate = {
  open: told((name: string, config: string, fields: WitField[]) => {
    input = schemaOf(fields);
    opened = new RunningAggregate(name, config, input);
    return promised(anAggregate().output);
  }),
  accumulate: told((states: Buffers, groups: Uint8Array, batch: WitBatch) =>
    anAggregate().accumulate(statesOf(states), numbersOf(groups), batchOf(input, batch)),
  ),
  merge: told((left: Buffers, right: Buffers) => anAggregate().merge(statesOf(left), statesOf(right))),
  retract: told((left: Buffers, right: Buffers) => anAggregate().retract(statesOf(left), statesOf(right))),
  finish: told((states: Buffers) => anAggregate().finish(statesOf(states))),
};

const timerOf = ({ key, at }: Timer) => ({ key, at: Number(at) });

const aKeyed = () => opened as RunningKeyed;

/** State and timers by key. */
export const keyed = {
  open: told((name: string, config: string, keyFields: WitField[], fields: WitField[]) => {
    keys = schemaOf(keyFields);
    input = schemaOf(fields);
    opened = new RunningKeyed(name, config, keys, input);
    return promised(aKeyed().output);
  }),
  process: told((clock: GivenClock, turn: WitTurn) => {
    const { rows, columns, timers, rejected, states } = aKeyed().process({
      keys: batchOf(keys, turn.keys, clock),
      states: statesOf(turn.states),
      rows: batchOf(input, turn.rows, clock),
      rowKeys: numbersOf(turn.rowKeys),
      due: turn.due.map(({ key, at }) => ({ key, at: timeOf(at) })),
    });
    return { output: { rows, columns }, states, rejected: whole(rejected), timers: timers.map(timerOf) };
  }),
  migrate: told((fromVersion: string, states: Buffers) => aKeyed().migrate(fromVersion, statesOf(states))),
};

/** Connects the component's imports. */
export function start(host: Host): void {
  connect({
    log: (level, message) => host.log(level, message.toWellFormed()),
    count: (name, by) => host.count(name.toWellFormed(), by),
    observe: (name, value) => host.observe(name.toWellFormed(), value),
  });
}
