/** One call of a transform, one run of an aggregate, and the rows and batches of tests. */

import { RunningAggregate } from "../aggregates.js";
import { build } from "../builders.js";
import { Batch, Buffers, Clock, Row, Value } from "../columns.js";
import { connect } from "../host.js";
import { Rejection } from "../output.js";
import { States, fromBytes } from "../states.js";
import { RunningTransform } from "../transforms.js";
import { DataType, Schema, binary, boolean, field, float64, int64, utf8 } from "../types.js";

/** What an operator told the host. */
export interface Told {
  logs: { level: string; message: string }[];
  counts: Record<string, number>;
  observed: Record<string, number[]>;
}

/** What an operator made of its input. */
export interface Ran extends Told {
  rows: Row[];
  rejected: Rejection[];
}

/** Types of columns by name, where values do not tell: numbers are float64 and bigints int64. A schema says all. */
export type Types = Record<string, DataType> | Schema;

/** Runs a transform over one batch. */
export function transform(operator: string, rows: Row[], config: unknown = {}, types: Types = {}, clock?: Clock): Ran {
  const told = listen();
  const columns = schemaOf(rows, types);
  const running = new RunningTransform(operator, JSON.stringify(config), columns);
  const { rejected, ...made } = running.process(batchOf(rows, columns, clock));
  return { ...told, rows: rowsOf(running.output, made), rejected };
}

/**
 * Runs an aggregate over batches, each on a worker of its own; a row a group, in the order of appearance. The
 * states of `retracted` are taken out again at the end.
 */
export function aggregate(
  operator: string,
  batches: Row[][],
  by: string[],
  config: unknown = {},
  types: Types = {},
  retracted: Row[][] = [],
): Ran {
  const told = listen();
  const all = [...batches, ...retracted].flat();
  const columns = schemaOf(all, types);
  const running = new RunningAggregate(operator, JSON.stringify(config), columns);
  const groups = new Map<string, { group: number; row: Row }>();
  for (const row of all) {
    const name = nameOf(by.map((one) => row[one]));
    if (!groups.has(name)) groups.set(name, { group: groups.size, row });
  }
  const added = (rows: Row[]): States => {
    const places = rows.map((row) => groups.get(nameOf(by.map((one) => row[one])))!.group);
    // As in the host, there is a state for each group that these rows touch, and for no other.
    const touched = [...new Set(places)];
    const mine = Uint32Array.from(places, (place) => touched.indexOf(place));
    const buffers = running.accumulate(statesOf(touched.map(() => null)), mine, batchOf(rows, columns));
    const made = new States(touched.length, buffers).toArray();
    return statesOf(Array.from({ length: groups.size }, (_, group) => made[touched.indexOf(group)] ?? null));
  };
  let merged = statesOf(Array.from({ length: groups.size }, () => null));
  for (const rows of batches) merged = new States(groups.size, running.merge(merged, added(rows)));
  for (const rows of retracted) merged = new States(groups.size, running.retract(merged, added(rows)));
  const results = rowsOf(running.output, running.finish(merged));
  const rows = [...groups.values()].map(({ row, group }) => ({
    ...Object.fromEntries(by.map((name) => [name, row[name]])),
    ...results[group],
  }));
  return { ...told, rows, rejected: [] };
}

/** What operators tell from now on. */
export function listen(): Told {
  const told: Told = { logs: [], counts: {}, observed: {} };
  connect({
    log: (level, message) => void told.logs.push({ level, message }),
    count: (name, by) => void (told.counts[name] = (told.counts[name] ?? 0) + by),
    observe: (name, value) => void (told.observed[name] ??= []).push(value),
  });
  return told;
}

/** The schema that rows have. */
export function schemaOf(rows: Row[], types: Types): Schema {
  if (types instanceof Schema) return types;
  const names = new Set([...rows.flatMap((row) => Object.keys(row)), ...Object.keys(types)]);
  const typeOf = (name: string): DataType => {
    const value = rows.map((row) => row[name]).find((one) => one !== null && one !== undefined);
    return types[name] ?? (value === undefined ? utf8 : typeOfValue(value!));
  };
  return new Schema([...names].map((name) => field(name, typeOf(name))));
}

function typeOfValue(value: Value): DataType {
  if (typeof value === "string") return utf8;
  if (typeof value === "boolean") return boolean;
  if (typeof value === "bigint") return int64;
  return value instanceof Uint8Array ? binary : float64;
}

/** Rows as a batch. */
export function batchOf(rows: Row[], columns: Schema, clock?: Clock): Batch {
  const buffers = columns.fields.map((one) => build(one, rows.map((row) => row[one.name])));
  return new Batch(columns, rows.length, buffers, clock);
}

/** Output as rows. */
export function rowsOf(columns: Schema, made: { rows: number; columns: Buffers[] }): Row[] {
  return [...new Batch(columns, made.rows, made.columns).rows()];
}

/** States as the host has them. */
export function statesOf(states: (Uint8Array | null)[]): States {
  return new States(states.length, fromBytes(states));
}

/** The values of a key in words: as JSON, with bigints as they are written. */
export function nameOf(values: Value[]): string {
  const parts = values.map((value) => (typeof value === "bigint" ? String(value) : JSON.stringify(value ?? null)));
  return `[${parts.join(",")}]`;
}
