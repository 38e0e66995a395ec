/** Text that is cut out of a column of text: for what is made of pieces of the input, without a string on the way. */

import { Buffers, Column } from "./columns.js";
import { OperatorError } from "./errors.js";

export class TextSlices {
  private readonly from: number;
  private end: number;
  private rows = 0;
  private offsets = new Int32Array(1024);
  /** The column's bytes, and behind them the slices: so that one native move makes a slice. */
  private data: Uint8Array;

  /** Slices of `column.bytes`. */
  constructor(column: Column) {
    this.from = this.end = column.bytes.length;
    this.data = new Uint8Array(2 * this.from);
    this.data.set(column.bytes);
  }

  get length(): number {
    return this.rows;
  }

  /** One more value: the bytes from `from` to `to`, which must be whole characters. */
  push(from: number, to: number): void {
    const end = this.end + to - from;
    if (!(0 <= from && from <= to && to <= this.from)) throw new OperatorError(`there is no slice from ${from} to ${to}`);
    if (end > this.data.length) this.data = grown(this.data, end);
    this.data.copyWithin(this.end, from, to);
    if (++this.rows === this.offsets.length) this.offsets = longer(this.offsets);
    this.offsets[this.rows] = end - this.from;
    this.end = end;
  }

  /** The buffers; never with a null. */
  finish(): Buffers {
    const offsets = this.offsets.subarray(0, this.rows + 1);
    return {
      validity: new Uint8Array(0),
      offsets: new Uint8Array(offsets.buffer, offsets.byteOffset, offsets.byteLength),
      values: this.data.subarray(this.from, this.end),
    };
  }
}

function grown(data: Uint8Array, needed: number): Uint8Array {
  const made = new Uint8Array(Math.max(needed, data.length * 2));
  made.set(data);
  return made;
}

function longer(offsets: Int32Array): Int32Array<ArrayBuffer> {
  const made = new Int32Array(offsets.length * 2);
  made.set(offsets);
  return made;
}
