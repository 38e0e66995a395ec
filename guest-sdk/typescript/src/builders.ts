/** Values to the buffers of a column. */

import { Buffers, Column, Numbers, Value, arrayOf } from "./columns.js";
import { ColumnError } from "./errors.js";
import { asciiBytes, convert, toBytes, utf8Of } from "./text.js";
import { DataType, Field, binary, boolean, float32, float64, int64, localTimestamp, timestamp, utf8 } from "./types.js";

/** Values of a column: a typed array or a column of its own type is taken as it is. */
export type Values = ArrayLike<Value | undefined> | Numbers | Column;

type List = ArrayLike<Value | undefined>;

const NOTHING = new Uint8Array(0);
const BYTES_MAX = 2 ** 31 - 1;

/** The buffers of these values. */
export function build(field: Field, values: Values): Buffers {
  if (values instanceof Column) return column(field, values);
  const Numbers = arrayOf(field.type);
  if (Numbers && values instanceof Numbers) return buffers(NOTHING, NOTHING, bytes(values));
  const list = values as List;
  if (field.type === utf8) return texts(field, list);
  const validity = validityOf(field, list);
  if (Numbers) return buffers(validity, NOTHING, numbers(field, list));
  if (field.type === boolean) return buffers(validity, NOTHING, booleans(field, list));
  return blobs(field, list, validity);
}

/** The values of these rows, as something that a column can be made of. */
export function taken(values: Values, rows: readonly number[]): Values {
  const list = values instanceof Column ? values.toArray() : (values as List);
  return rows.map((row) => list[row]);
}

function buffers(validity: Uint8Array, offsets: Uint8Array, values: Uint8Array): Buffers {
  return { validity, offsets, values };
}

function bytes(numbers: ArrayBufferView): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

function column(field: Field, given: Column): Buffers {
  if (given.type !== field.type) {
    throw new ColumnError(field.name, null, `a column of ${given.type.name} cannot be one of ${field.type.name}`);
  }
  // Fails for a null where none is allowed.
  if (given.hasNulls && !field.nullable) validityOf(field, given.toArray());
  return given.buffers;
}

function validityOf(field: Field, values: List): Uint8Array {
  let bits: Uint8Array | null = null;
  for (let row = 0; row < values.length; row++) {
    if (values[row] !== null && values[row] !== undefined) continue;
    if (!field.nullable) throw new ColumnError(field.name, row, "null, but the column is not nullable");
    bits ??= new Uint8Array((values.length + 7) >> 3).fill(255);
    bits[row >> 3] &= ~(1 << (row & 7));
  }
  return bits ?? NOTHING;
}

function numbers(field: Field, values: List): Uint8Array {
  const Numbers = arrayOf(field.type)!;
  const made = new Numbers(values.length);
  const take = taker(field.type);
  for (let row = 0; row < values.length; row++) {
    const value = values[row];
    if (value === null || value === undefined) continue;
    const number = take(value);
    if (number === undefined) throw new ColumnError(field.name, row, wrong(value, field.type));
    (made as { [row: number]: unknown })[row] = number;
  }
  return bytes(made);
}

const is64 = (type: DataType) => type === int64 || type === timestamp || type === localTimestamp;

/** What a value is as a number of this type; nothing for one that is none. */
function taker(type: DataType): (value: Value) => number | bigint | undefined {
  if (is64(type)) {
    return (value) => {
      if (typeof value === "bigint") return BigInt.asIntN(64, value) === value ? value : undefined;
      return typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : undefined;
    };
  }
  if (type === float32 || type === float64) return (value) => (typeof value === "number" ? value : undefined);
  return (value) => (typeof value === "number" && (value | 0) === value ? value : undefined);
}

function wrong(value: Value, type: DataType): string {
  const isText = typeof value === "string";
  const shown = isText ? JSON.stringify(value.slice(0, 100)) : `${typeof value} ${String(value).slice(0, 100)}`;
  const isInexact = typeof value === "number" && Number.isInteger(value) && is64(type);
  return `${shown} is no ${type.name}${isInexact ? ", because numbers are exact up to 2^53 only: give a bigint" : ""}`;
}

function booleans(field: Field, values: List): Uint8Array {
  const bits = new Uint8Array((values.length + 7) >> 3);
  for (let row = 0; row < values.length; row++) {
    const value = values[row];
    if (value === true) bits[row >> 3] |= 1 << (row & 7);
    else if (value !== false && value !== null && value !== undefined) {
      throw new ColumnError(field.name, row, wrong(value, field.type));
    }
  }
  return bits;
}

function texts(field: Field, values: List): Buffers {
  const parts = values as ArrayLike<string>;
  let end = 0;
  let hasNulls = false;
  const lacking = (value: Value | undefined, row: number) => {
    if (value !== null && value !== undefined) throw new ColumnError(field.name, row, wrong(value, field.type));
    hasNulls = true;
    return end;
  };
  // In QuickJS `map` takes half the time of a loop, and a look at what only strings have less than `typeof`.
  const ends = Array.prototype.map.call(parts, (value: Partial<string> | null, row) =>
    value?.codePointAt ? (end += value.length!) : lacking(value as Value, row),
  ) as (number | undefined)[];
  // `map` leaves out what an array does not have.
  if (ends.includes(undefined)) return texts(field, Array.from(values));
  const offsets = new Int32Array(ends.length + 1);
  offsets.set(ends as number[], 1);
  const validity = hasNulls ? validityOf(field, values) : NOTHING;
  // `join` makes nothing of null and undefined, which is what they are.
  let data = asciiBytes(Array.prototype.join.call(parts, ""));
  if (!data) {
    const encoded = encodedTexts(field, parts);
    end = 0;
    offsets.set(encoded.map((text) => (end += text.length)), 1);
    data = toBytes(encoded.join(""));
  }
  check(field, data.length);
  return buffers(validity, bytes(offsets), data);
}

function encodedTexts(field: Field, texts: ArrayLike<string>): string[] {
  try {
    return convert(texts, utf8Of);
  } catch {
    const row = Array.prototype.findIndex.call(texts, (text: string | null) => text && !text.isWellFormed());
    const shown = JSON.stringify(texts[row].slice(0, 100));
    throw new ColumnError(field.name, row, `${shown} has half a character (a lone surrogate)`);
  }
}

function blobs(field: Field, values: List, validity: Uint8Array): Buffers {
  const offsets = new Int32Array(values.length + 1);
  for (let row = 0; row < values.length; row++) {
    const value = values[row] ?? NOTHING;
    if (!(value instanceof Uint8Array)) throw new ColumnError(field.name, row, wrong(value, field.type));
    offsets[row + 1] = offsets[row] + value.length;
  }
  check(field, offsets[values.length]);
  const data = new Uint8Array(offsets[values.length]);
  for (let row = 0; row < values.length; row++) {
    const value = values[row];
    if (value) data.set(value as Uint8Array, offsets[row]);
  }
  return buffers(validity, bytes(offsets), data);
}

function check(field: Field, length: number): void {
  if (length > BYTES_MAX) {
    throw new ColumnError(field.name, null, `${length} bytes in one column of a batch; 2 GiB is the most`);
  }
}
