/** Operators for Millstream in TypeScript and JavaScript. See README.md for a first plugin. */

export { type Values } from "./builders.js";
export { Batch, type Clock, Column, type Numbers, type Row, type Value } from "./columns.js";
export * as config from "./config.js";
export { ColumnError, OperatorError, Reject } from "./errors.js";
export { type Level, count, log, observe } from "./host.js";
export { Output, type Rejection } from "./output.js";
export {
  type AggregateOperator,
  type Key,
  type KeyedOperator,
  type OpenedAggregate,
  type OpenedColumnAggregate,
  type OpenedKeyed,
  type OpenedTransform,
  type TransformOperator,
  aggregate,
  describe,
  keyed,
  transform,
} from "./registry.js";
export { mapRows } from "./transforms.js";
export {
  type DataType,
  type Field,
  Schema,
  binary,
  boolean,
  date,
  field,
  float32,
  float64,
  int32,
  int64,
  localTimestamp,
  timestamp,
  utf8,
} from "./types.js";
