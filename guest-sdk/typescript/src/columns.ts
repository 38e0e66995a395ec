/** Columns as they come: typed arrays over the bytes that crossed the boundary, and values on demand. */

import { ColumnError, chain, placed } from "./errors.js";
import { convert, isAscii, latin1, ofUtf8 } from "./text.js";
import {
  DataType, Field, Schema, binary, boolean, date, float32, float64, int32, int64, localTimestamp, timestamp,
} from "./types.js";

/** A value of a row: null is null, int64 and timestamp are bigints, binary is a Uint8Array. */
export type Value = null | boolean | number | bigint | string | Uint8Array;

/** Values of fixed width. */
export type Numbers = Int32Array | BigInt64Array | Float32Array | Float64Array;

type NumbersOf = { new (buffer: ArrayBuffer): Numbers; new (length: number): Numbers; BYTES_PER_ELEMENT: number };

const ARRAYS = new Map<DataType, NumbersOf>([
  [int32, Int32Array as NumbersOf],
  [int64, BigInt64Array as NumbersOf],
  [float32, Float32Array as NumbersOf],
  [float64, Float64Array as NumbersOf],
  [date, Int32Array as NumbersOf],
  [timestamp, BigInt64Array as NumbersOf],
  [localTimestamp, BigInt64Array as NumbersOf],
]);

/** The typed array of a type of fixed width; none for the others. */
export function arrayOf(type: DataType): NumbersOf | undefined {
  return ARRAYS.get(type);
}

/** The buffers of a column. */
export interface Buffers {
  validity: Uint8Array;
  offsets: Uint8Array;
  values: Uint8Array;
}

/**
 * What of a batch is the same however often it is run again; times in microseconds since 1970. Beyond 2^53 the watermark is
 * up to a millisecond earlier than the host's, and a look at the others is an error.
 */
export interface Clock {
  readonly batchId: bigint;
  readonly now: bigint;
  readonly watermark: bigint | null;
}

/** Bytes as a buffer of their own, or the one that they fill: typed arrays want their start aligned. */
function whole(bytes: Uint8Array): ArrayBuffer {
  const isWhole = bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength;
  return (isWhole ? bytes.buffer : bytes.slice().buffer) as ArrayBuffer;
}

/** What a function threw, and for which row. */
interface Broken {
  error: unknown;
  row: number;
}

/** A column of a batch. */
export class Column implements Iterable<Value> {
  private list: Value[] | null = null;
  private numbersView: Numbers | null = null;
  private offsetsView: Int32Array | null = null;
  /** The row at which an unfinished loop is: an exception may have come from there, or a `break`. */
  private at: number | null = null;
  private broken: Broken | null = null;

  constructor(
    readonly field: Field,
    readonly length: number,
    readonly buffers: Buffers,
  ) {}

  get type(): DataType {
    return this.field.type;
  }

  /** Whether some value may be null. */
  get hasNulls(): boolean {
    return this.buffers.validity.length > 0;
  }

  /** Whether the value of a row is null. */
  isNull(row: number): boolean {
    return this.hasNulls && ((this.buffers.validity[row >> 3] >> (row & 7)) & 1) === 0;
  }

  /** The numbers without a look at nulls, as a typed array that costs nothing; for types of fixed width. */
  get numbers(): Numbers {
    if (!this.numbersView) {
      const Numbers = arrayOf(this.type);
      if (!Numbers) throw new ColumnError(this.field.name, null, `it is ${this.type.name}, which has no \`numbers\``);
      this.numbersView = new Numbers(whole(this.buffers.values));
    }
    return this.numbersView;
  }

  /** Text and bytes: where each value begins in `bytes`, and the end. */
  get offsets(): Int32Array {
    this.offsetsView ??= this.length === 0 ? new Int32Array(1) : new Int32Array(whole(this.buffers.offsets));
    return this.offsetsView;
  }

  /** Text and bytes: all values behind each other. */
  get bytes(): Uint8Array {
    return this.buffers.values;
  }

  /** The value of a row. */
  get(row: number): Value {
    return this.toArray()[row];
  }

  /** Each value in its turn; an error that is thrown meanwhile says which row was read last. */
  *[Symbol.iterator](): Iterator<Value> {
    const list = this.toArray();
    for (let row = 0; row < list.length; row++) {
      this.at = row;
      yield list[row];
    }
    this.at = null;
  }

  /** What a function makes of each value; an error that it throws says which row it was at. */
  map<T>(each: (value: Value, row: number) => T): T[] {
    const list = this.toArray();
    const made = new Array<T>(list.length);
    let row = 0;
    try {
      for (; row < list.length; row++) made[row] = each(list[row], row);
    } catch (error) {
      this.broken = { error, row };
      throw error;
    }
    return made;
  }

  /** All values; made once. */
  toArray(): Value[] {
    this.list ??= this.made();
    return this.list;
  }

  /** The row at which an unfinished loop over this column is. */
  rowAt(): number | null {
    return this.at;
  }

  /** The row at which a function threw this. */
  rowOf(error: unknown): number | null {
    return this.broken && this.broken.error === error ? this.broken.row : null;
  }

  private made(): Value[] {
    let values: Value[];
    if (arrayOf(this.type)) values = Array.from(this.numbers as Iterable<number | bigint>);
    else if (this.type === boolean) values = this.booleans();
    else if (this.type === binary) values = this.cut((from, to) => this.bytes.slice(from, to));
    else values = this.texts();
    if (this.hasNulls) {
      for (let row = 0; row < this.length; row++) if (this.isNull(row)) values[row] = null;
    }
    return values;
  }

  private booleans(): boolean[] {
    const bits = this.buffers.values;
    return Array.from({ length: this.length }, (_, row) => ((bits[row >> 3] >> (row & 7)) & 1) === 1);
  }

  private texts(): string[] {
    const text = latin1(this.bytes);
    const texts = this.cut((from, to) => text.substring(from, to));
    // ASCII is there already: bytes and characters are the same.
    return isAscii(this.bytes) ? texts : convert(texts, ofUtf8);
  }

  private cut<T>(make: (from: number, to: number) => T): T[] {
    const offsets = this.offsets;
    const values = new Array<T>(this.length);
    for (let row = 0; row < this.length; row++) values[row] = make(offsets[row], offsets[row + 1]);
    return values;
  }
}

/** A row as an object. */
export type Row = Record<string, Value>;

/** The clock of tests that name none. */
export const CLOCK: Clock = { batchId: 1n, now: 0n, watermark: null };

/** Rows as columns. */
export class Batch {
  readonly columns: readonly Column[];
  private at: number | null = null;
  private broken: Broken | null = null;

  constructor(
    readonly schema: Schema,
    readonly length: number,
    buffers: readonly Buffers[],
    readonly clock: Clock = CLOCK,
  ) {
    this.columns = schema.fields.map((one, place) => new Column(one, length, buffers[place]));
  }

  /** The column of this name. */
  column(name: string): Column {
    return this.columns[this.schema.place(name)];
  }

  /** Each row as an object: for convenience, not for speed. */
  *rows(): Generator<Row> {
    const names = this.schema.names;
    const values = this.columns.map((column) => column.toArray());
    for (let row = 0; row < this.length; row++) {
      this.at = row;
      const made: Row = {};
      for (let place = 0; place < names.length; place++) made[names[place]] = values[place][row];
      yield made;
    }
    this.at = null;
  }

  /** Notes what the kit's own loop over rows got from a function. */
  breaks(error: unknown, row: number): void {
    this.broken = { error, row };
  }

  /** The place at which this was thrown, or its cause, in words; nothing where only the operator could know. */
  place(error: unknown): string {
    for (const one of chain(error)) {
      if (this.broken && this.broken.error === one) return placed([], this.broken.row);
      const column = this.columns.find((each) => each.rowOf(one) !== null);
      if (column) return placed([column.field.name], column.rowOf(one));
    }
    return "";
  }

  /** Where unfinished loops over rows or columns are, in words. */
  lastRead(): string {
    const reading = this.columns.filter((column) => column.rowAt() !== null);
    const rows = [...new Set(reading.map((column) => column.rowAt()!))];
    const at = (row: number) => reading.filter((column) => column.rowAt() === row).map((column) => column.field.name);
    const places = rows.map((row) => placed(at(row), row));
    return [...(this.at === null ? [] : [placed([], this.at)]), ...places].join("; ");
  }
}
