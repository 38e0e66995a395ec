/** What an operator answers: columns, and rows that it could not take. */

import { Values, build, taken } from "./builders.js";
import { Batch, Buffers } from "./columns.js";
import { ColumnError, OperatorError } from "./errors.js";
import { Schema } from "./types.js";

/** A row that could not be taken, and why. */
export interface Rejection {
  row: number;
  reason: string;
}

/** Rows as the contract has them. */
export interface Made {
  rows: number;
  columns: Buffers[];
}

/**
 * The rows that go on. Columns that are set have a value for each input row; rows that are rejected or
 * skipped are left out of all of them. After `keep(batch, rows)` they have a value for each of those rows,
 * and after `flat()` any number of values.
 */
export class Output {
  private readonly given = new Map<string, Values>();
  private kept: Batch | null = null;
  private rows: readonly number[] | null = null;
  private isFlat = false;
  private readonly rejectedRows = new Map<number, string>();
  private readonly skipped = new Set<number>();

  constructor(
    private readonly schema: Schema,
    private readonly inputRows: number,
  ) {}

  /** Gives the values of a column; null and undefined are null. */
  set(name: string, values: Values): void {
    if (!this.schema.has(name)) {
      const promised = this.schema.names.map((one) => `\`${one}\``).join(", ");
      throw new OperatorError(`there is no output column \`${name}\`: \`open\` promised ${promised}`);
    }
    if (typeof values?.length !== "number") throw new OperatorError(`the output column \`${name}\` was given no values`);
    this.given.set(name, values);
  }

  /** Lets the input's columns through that the output has, too; of these rows, in this order, if given. */
  keep(batch: Batch, rows: readonly number[] | null = null): void {
    rows?.forEach((row) => this.check(row));
    this.kept = batch;
    this.rows = rows;
  }

  /** Says that the columns have rows of their own: more than the input, or fewer. */
  flat(): void {
    this.isFlat = true;
  }

  /** Hands a row back: it becomes a dead letter. */
  reject(row: number, reason: string): void {
    this.check(row);
    this.rejectedRows.set(row, String(reason));
  }

  /** Leaves a row out without a word. */
  skip(row: number): void {
    this.check(row);
    this.skipped.add(row);
  }

  /** The rejected rows, rising. */
  rejected(): Rejection[] {
    return [...this.rejectedRows].map(([row, reason]) => ({ row, reason })).sort((one, other) => one.row - other.row);
  }

  /** Rows, and the buffers of each column. */
  finish(): Made {
    const { fields } = this.schema;
    let columns = fields.map((field) => this.values(field.name));
    let rows = this.count(columns);
    if (!this.isFlat && !this.rows && this.rejectedRows.size + this.skipped.size > 0) {
      const left: number[] = [];
      for (let row = 0; row < rows; row++) if (!this.rejectedRows.has(row) && !this.skipped.has(row)) left.push(row);
      columns = columns.map((values) => taken(values, left));
      rows = left.length;
    }
    return { rows, columns: fields.map((field, place) => build(field, columns[place])) };
  }

  private check(row: number): void {
    if (!(Number.isInteger(row) && row >= 0 && row < this.inputRows)) {
      throw new OperatorError(`there is no row ${row}: the batch has ${this.inputRows} rows`);
    }
  }

  private values(name: string): Values {
    const given = this.given.get(name);
    if (given) return given;
    if (!this.kept?.schema.has(name)) throw new OperatorError(`the output column \`${name}\` was not set`);
    const column = this.kept.column(name);
    return this.rows ? taken(column, this.rows) : column;
  }

  private count(columns: { length: number }[]): number {
    const most = () => columns.reduce((length, values) => Math.max(length, values.length), 0);
    const expected = this.rows?.length ?? (this.isFlat ? most() : this.inputRows);
    columns.forEach((values, place) => {
      if (values.length !== expected) throw this.uneven(this.schema.fields[place].name, values.length, expected);
    });
    return expected;
  }

  private uneven(name: string, length: number, expected: number): ColumnError {
    const what = length < expected ? "no value" : "a value too many";
    const hint = this.isFlat || this.rows ? "" : " (`out.flat()` allows other numbers of rows)";
    // The first row without a value, or the first value without a row.
    const row = Math.min(length, expected);
    return new ColumnError(name, row, `${what}: the column has ${length} values, not ${expected}${hint}`);
  }
}
