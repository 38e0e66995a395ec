/** Types of columns, and schemas: which columns rows have. */

import { OperatorError, nearest } from "./errors.js";

/** A type by its name in specs, with the format string of Arrow's C data interface. */
export interface DataType {
  readonly name: string;
  readonly format: string;
}

const type = (name: string, format: string): DataType => ({ name, format });

export const boolean = type("boolean", "b");
export const int32 = type("int32", "i");
/** Values are bigints: a number is exact up to 2^53 only. */
export const int64 = type("int64", "l");
export const float32 = type("float32", "f");
export const float64 = type("float64", "g");
/** Days since 1970. */
export const date = type("date", "tdD");
/** Microseconds since 1970, UTC; values are bigints. */
export const timestamp = type("timestamp", "tsu:UTC");
/** Microseconds since 1970 on the clock of no particular place; values are bigints. */
export const localTimestamp = type("timestamp without zone", "tsu:");
export const utf8 = type("utf8", "u");
export const binary = type("binary", "z");

const BY_FORMAT = new Map(
  [boolean, int32, int64, float32, float64, date, timestamp, localTimestamp, utf8, binary].map((one) => [
    one.format,
    one,
  ]),
);

/** The type that a format string means. */
export function ofFormat(column: string, format: string): DataType {
  const found = BY_FORMAT.get(format);
  if (!found) throw new OperatorError(`column \`${column}\` has the type \`${format}\`, which this kit does not know`);
  return found;
}

/** A column: its name, its type, and whether values may be missing. */
export interface Field {
  readonly name: string;
  readonly type: DataType;
  readonly nullable: boolean;
}

/** A column; nullable unless said otherwise. */
export function field(name: string, type: DataType, nullable = true): Field {
  return { name, type, nullable };
}

/** The columns of rows, in order. */
export class Schema implements Iterable<Field> {
  readonly fields: readonly Field[];
  private readonly places = new Map<string, number>();

  constructor(fields: Iterable<Field>) {
    this.fields = [...fields];
    this.fields.forEach((one, place) => {
      if (this.places.has(one.name)) throw new OperatorError(`there are two columns \`${one.name}\``);
      this.places.set(one.name, place);
    });
  }

  [Symbol.iterator](): Iterator<Field> {
    return this.fields[Symbol.iterator]();
  }

  get length(): number {
    return this.fields.length;
  }

  /** The names of the columns. */
  get names(): string[] {
    return this.fields.map((one) => one.name);
  }

  has(name: string): boolean {
    return this.places.has(name);
  }

  /** The number of a column. */
  place(name: string): number {
    const place = this.places.get(name);
    if (place === undefined) {
      throw new OperatorError(`there is no column \`${name}\`; ${nearest(name, this.places.keys())}`);
    }
    return place;
  }

  field(name: string): Field {
    return this.fields[this.place(name)];
  }

  /** The column of this name, which must have one of these types. For `open`. */
  need(name: string, ...types: DataType[]): Field {
    const found = this.field(name);
    if (types.length > 0 && !types.includes(found.type)) {
      const wanted = types.map((one) => one.name).join(" or ");
      throw new OperatorError(`column \`${name}\` is ${found.type.name}; it must be ${wanted}`);
    }
    return found;
  }

  /** These columns and one more. Its name must be new. */
  with(added: Field): Schema {
    return new Schema([...this.fields, added]);
  }
}
