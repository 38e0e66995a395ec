/** `json-pick`, a transform with rejections: values of JSON documents as typed columns. */

import { OperatorError, Reject, Schema, type Value, boolean, config, field, float64, int64, transform, utf8 } from "millstream-plugin";

import { type Json, NumberText, readExactly, readJson } from "./json.js";

const TYPES = { boolean, int64, float64, utf8 };
/** Below, a number is what is written; whole numbers with a fraction or an exponent are exact up to here. */
const EXACT_MAX = 2 ** 53;

const Picked = config.object({
  name: config.string("The name of the column."),
  type: config.oneOf(["boolean", "int64", "float64", "utf8"]),
  pointer: config.string('A JSON pointer (RFC 6901); "/" and the name if not given.').optional(),
});

transform("json-pick", {
  summary: "Picks values out of JSON text into typed columns.",
  config: { column: config.string("The column of JSON text."), fields: config.list(Picked, "What to pick.") },
  open({ column, fields }, input) {
    input.need(column, utf8);
    const picks = fields.map(({ name, type, pointer = `/${name}` }) => ({ name, type, pointer, steps: stepsOf(pointer) }));

    function rowOf(text: string): Value[] {
      const document = readJson(text);
      return picks.map(({ type, pointer, steps }) => {
        let value = found(document, steps);
        if (value === undefined || value === null) return null;
        const isRounded = typeof value === "number" && Math.abs(value) >= EXACT_MAX;
        if (type === "int64" && isRounded) value = found(readExactly(text), steps)!;
        const cell = TAKERS[type](value);
        if (cell === undefined) throw new Reject(`${pointer} is no ${type}`);
        return cell;
      });
    }

    return {
      output: new Schema(picks.map(({ name, type }) => field(name, TYPES[type]))),
      process(batch, out) {
        const nothing = picks.map(() => null);
        const rows = batch.column(column).map((text, row) => {
          try {
            return text === null ? nothing : rowOf(text as string);
          } catch (error) {
            if (!(error instanceof Reject)) throw error;
            out.reject(row, error.message);
            return nothing;
          }
        });
        picks.forEach(({ name }, place) => out.set(name, rows.map((row) => row[place])));
      },
    };
  },
});

function stepsOf(pointer: string): string[] {
  if (pointer !== "" && !pointer.startsWith("/")) {
    throw new OperatorError(`config.fields: the pointer \`${pointer}\` does not begin with /`);
  }
  return pointer.split("/").slice(1).map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** What a pointer leads to; undefined where it leads nowhere. */
function found(value: Json | undefined, steps: string[]): Json | undefined {
  for (const step of steps) {
    if (Array.isArray(value)) value = /^(0|[1-9][0-9]*)$/.test(step) ? value[Number(step)] : undefined;
    else if (value instanceof NumberText || typeof value !== "object" || value === null) return undefined;
    else value = Object.hasOwn(value, step) ? value[step] : undefined;
  }
  return value;
}

const TAKERS: Record<keyof typeof TYPES, (value: Json) => Value | undefined> = {
  boolean: (value) => (typeof value === "boolean" ? value : undefined),
  float64: (value) => (typeof value === "number" ? value : undefined),
  int64(value) {
    if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : undefined;
    if (!(value instanceof NumberText)) return undefined;
    const number = Number(value.text);
    if (/[.eE]/.test(value.text)) {
      return Number.isInteger(number) && Math.abs(number) <= EXACT_MAX ? BigInt(number) : undefined;
    }
    // Longer ones have no place in 64 bits, and would take long to read.
    if (value.text.length > 20) return undefined;
    const exact = BigInt(value.text);
    return BigInt.asIntN(64, exact) === exact ? exact : undefined;
  },
  utf8(value) {
    if (typeof value !== "string") return undefined;
    // Half a character is no text: `encodeURIComponent` finds it out.
    if (/[\ud800-\udfff]/.test(value)) {
      try {
        encodeURIComponent(value);
      } catch {
        throw new Reject("half a character (a lone surrogate)");
      }
    }
    return value;
  },
};
