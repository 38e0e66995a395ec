/** Configs: shapes say what an operator wants to know; JSON Schema, checks and TypeScript types follow from them. */

import { OperatorError, nearest } from "./errors.js";

/** A JSON Schema. */
export type JsonSchema = Record<string, unknown>;

/** What a value of a config must be. */
export class Shape<T> {
  constructor(
    readonly schema: JsonSchema,
    readonly read: (value: unknown, path: string) => T,
    /** What it is when it is not given; not there when it has to be given. */
    readonly missing?: { value: T },
  ) {}

  /** It may be left out, and is this value then. */
  or(value: T): Shape<T> {
    return new Shape({ ...this.schema, default: value }, this.read, { value });
  }

  /** It may be left out. */
  optional(): Shape<T | undefined> {
    return new Shape<T | undefined>(this.schema, this.read, { value: undefined });
  }
}

/** The keys of an object. */
export type Shapes = Record<string, Shape<any>>;

/** What an object of these shapes is. */
export type Read<S extends Shapes> = { [Key in keyof S]: S[Key] extends Shape<infer T> ? T : never };

function simple<T>(type: string, wanted: string, is: (value: unknown) => boolean, help?: string): Shape<T> {
  const schema = help === undefined ? { type } : { type, description: help };
  return new Shape(schema, (value, path) => {
    if (!is(value)) throw needed(path, wanted, value);
    return value as T;
  });
}

/** A text. */
export const string = (help?: string) =>
  simple<string>("string", "a string", (value) => typeof value === "string", help);

/** A number. */
export const number = (help?: string) =>
  simple<number>("number", "a number", (value) => typeof value === "number", help);

/** A whole number, up to 2^53. */
export const integer = (help?: string) => simple<number>("integer", "an integer", Number.isSafeInteger, help);

/** Yes or no. */
export const boolean = (help?: string) =>
  simple<boolean>("boolean", "a boolean", (value) => typeof value === "boolean", help);

/** One of a few texts. */
export function oneOf<const T extends readonly string[]>(values: T, help?: string): Shape<T[number]> {
  const schema = help === undefined ? { enum: values } : { enum: values, description: help };
  return new Shape(schema, (value, path) => {
    if (!values.includes(value as string)) throw needed(path, `one of ${values.map((one) => `"${one}"`).join(", ")}`, value);
    return value as T[number];
  });
}

/** Any number of something. */
export function list<T>(item: Shape<T>, help?: string): Shape<T[]> {
  const schema = { type: "array", items: item.schema, ...(help === undefined ? {} : { description: help }) };
  return new Shape(schema, (value, path) => {
    if (!Array.isArray(value)) throw needed(path, "a list", value);
    return value.map((one, place) => item.read(one, `${path}[${place}]`));
  });
}

/** An object with these keys and no others. */
export function object<S extends Shapes>(shapes: S, help?: string): Shape<Read<S>> {
  const keys = Object.entries(shapes);
  const schema = {
    type: "object",
    ...(help === undefined ? {} : { description: help }),
    properties: Object.fromEntries(keys.map(([key, shape]) => [key, shape.schema])),
    required: keys.filter(([, shape]) => !shape.missing).map(([key]) => key),
    additionalProperties: false,
  };
  return new Shape(schema, (value, path) => {
    if (value === null || typeof value !== "object" || Array.isArray(value)) throw needed(path, "an object", value);
    const given = value as Record<string, unknown>;
    for (const key of Object.keys(given)) {
      if (!Object.hasOwn(shapes, key)) throw new OperatorError(`${path} has no key \`${key}\`; ${nearest(key, Object.keys(shapes))}`);
    }
    const read = keys.map(([key, shape]) => {
      if (given[key] !== undefined) return [key, shape.read(given[key], `${path}.${key}`)];
      if (!shape.missing) throw new OperatorError(`${path}.${key}: missing`);
      return [key, shape.missing.value];
    });
    return Object.fromEntries(read) as Read<S>;
  });
}

/** A config that comes as JSON. */
export function readConfig<T>(shape: Shape<T>, text: string): T {
  let given: unknown;
  try {
    given = JSON.parse(text.trim() || "{}");
  } catch (error) {
    throw new OperatorError(`config is not JSON: ${(error as Error).message}`);
  }
  return shape.read(given, "config");
}

function needed(path: string, wanted: string, value: unknown): OperatorError {
  return new OperatorError(`${path}: ${wanted} is needed, not ${JSON.stringify(value)}`);
}
