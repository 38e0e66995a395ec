/** What a plugin holds: its name, and its operators by the functions that register them. */

import { Batch, Row, Value } from "./columns.js";
import type { Clock } from "./columns.js";
import { Read, Shape, Shapes, object } from "./config.js";
import { OperatorError, nearest } from "./errors.js";
import { Output } from "./output.js";
import { Schema } from "./types.js";

interface Described<S extends Shapes> {
  summary: string;
  /** The config's keys; none for an operator without config. */
  config?: S;
}

/** What a transform is after `open`. */
export interface OpenedTransform {
  output: Schema;
  process(batch: Batch, out: Output): void;
}

/** map, filter, flat map. */
export interface TransformOperator<S extends Shapes> extends Described<S> {
  open(config: Read<S>, input: Schema): OpenedTransform;
}

/** An aggregate over rows: a state is anything that JSON knows, and bigints. */
export interface OpenedAggregate<State> {
  output: Schema;
  create(): State;
  add(state: State, row: Row): State;
  merge(left: State, right: State): State;
  /** Undoes `merge` to the last bit, so not for sums of floats; with it, sliding windows are cheap. */
  retract?(left: State, right: State): State;
  finish(state: State): Row;
}

/** An aggregate over columns: states are `width` floats each, zeros at first, changed in place. */
export interface OpenedColumnAggregate {
  output: Schema;
  width: number;
  accumulate(states: Float64Array, groups: Uint32Array, input: Batch): void;
  merge(states: Float64Array, others: Float64Array): void;
  /** Undoes `merge` to the last bit, so not for sums of floats; with it, sliding windows are cheap. */
  retract?(states: Float64Array, others: Float64Array): void;
  finish(states: Float64Array, out: Output): void;
}

/** reduce: one state a group, kept by the host. */
export interface AggregateOperator<S extends Shapes> extends Described<S> {
  /** Whether there is `retract`. */
  retracts?: boolean;
  open(config: Read<S>, input: Schema): OpenedAggregate<any> | OpenedColumnAggregate;
}

/** A key in its turn. */
export interface Key<State> {
  readonly values: Row;
  readonly clock: Clock;
  /** Null: there is none, or none any more. */
  state: State | null;
  /**
   * Sets the key's only timer, in microseconds since 1970 on the step's clock; an earlier one is replaced. After the year
   * 2255 (2^53) the time must be exact as a number.
   */
  setTimer(at: bigint): void;
  /** A row of output: the key's columns, and these. A column that is left out is null. */
  emit(row: Record<string, Value | number>): void;
}

/** What a keyed operator is after `open`; the key's columns come before those of `output`. */
export interface OpenedKeyed<State> {
  output: Schema;
  /** Throw a `Reject` to hand the row back. */
  onRow(key: Key<State>, row: Row): void;
  onTimer?(key: Key<State>, at: bigint): void;
  /** A state that an earlier version wrote, as this one wants it; without it states stay as they are. */
  migrate?(fromVersion: string, state: unknown): State | null;
}

/** State and timers by key, kept by the host. */
export interface KeyedOperator<S extends Shapes> extends Described<S> {
  open(config: Read<S>, keys: Schema, input: Schema): OpenedKeyed<any>;
}

export type Kind = "transform" | "aggregate" | "keyed";
const KINDS: readonly Kind[] = ["transform", "aggregate", "keyed"];

/** An operator, and what is said of it. */
export interface Registered {
  kind: Kind;
  summary: string;
  config: Shape<unknown>;
  retracts: boolean;
  open(...given: unknown[]): unknown;
}

/** What a plugin holds: filled at the import of its module. */
export const plugin = { name: "", version: "", summary: "", operators: new Map<string, Registered>() };

/** Says what the plugin is: pipelines say `name/operator@version`. */
export function describe(name: string, version: string, summary = ""): void {
  Object.assign(plugin, { name, version, summary });
}

/** Registers a transform. */
export function transform<S extends Shapes = {}>(name: string, operator: TransformOperator<S>): void {
  register("transform", name, operator);
}

/** Registers an aggregate. */
export function aggregate<S extends Shapes = {}>(name: string, operator: AggregateOperator<S>): void {
  register("aggregate", name, operator, operator.retracts ?? false);
}

/** Registers a keyed operator. */
export function keyed<S extends Shapes = {}>(name: string, operator: KeyedOperator<S>): void {
  register("keyed", name, operator);
}

function register(kind: Kind, name: string, operator: Described<Shapes> & { open: unknown }, retracts = false): void {
  if (plugin.operators.has(name)) throw new Error(`the plugin has two operators \`${name}\``);
  const { summary, config = {} } = operator;
  // As a method of what was given, since `open` may want its `this`.
  const open = (...given: unknown[]) => (operator as { open(...given: unknown[]): unknown }).open(...given);
  plugin.operators.set(name, { kind, summary, config: object(config), retracts, open });
}

/** The operator of this name. */
export function find(kind: Kind, name: string): Registered {
  const found = plugin.operators.get(name);
  if (found?.kind === kind) return found;
  const known = [...plugin.operators].filter(([, one]) => one.kind === kind).map(([one]) => one);
  throw new OperatorError(`this plugin has no ${kind} of that name; ${nearest(name, known)}`);
}

/** The kinds of operators that the plugin has. */
export function kinds(): Kind[] {
  return KINDS.filter((kind) => [...plugin.operators.values()].some((one) => one.kind === kind));
}
