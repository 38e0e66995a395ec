/** States of aggregates and of keys: bytes to the host, anything to the operator. */

import { build } from "./builders.js";
import { Buffers, Column } from "./columns.js";
import { OperatorError } from "./errors.js";
import { decode as text, toBytes, utf8Of } from "./text.js";
import { binary, field } from "./types.js";

const FIELD = field("state", binary);

/** A state as bytes: JSON, bigints as `{"$int":"…"}`. */
export function encode(state: unknown): Uint8Array {
  const json = JSON.stringify(state, (_, value) => (typeof value === "bigint" ? { $int: String(value) } : value));
  if (json === undefined) throw new OperatorError(`a state cannot be a ${typeof state}`);
  return toBytes(utf8Of(json));
}

/** The state that these bytes are. */
export function decode(data: Uint8Array): unknown {
  let json: string;
  try {
    json = text(data);
    return JSON.parse(json, json.includes('"$int"') ? bigints : undefined);
  } catch (error) {
    throw new OperatorError(`a state is not what this kit writes (${(error as Error).message}): give it \`migrate\``);
  }
}

function bigints(_: string, value: unknown): unknown {
  const int = (value as { $int?: unknown } | null)?.$int;
  return typeof int === "string" ? BigInt(int) : value;
}

/** The states of the groups or keys of a call: bytes, null where there is none so far. */
export class States {
  private readonly column: Column;

  constructor(
    readonly length: number,
    readonly buffers: Buffers,
  ) {
    this.column = new Column(FIELD, length, buffers);
  }

  /** Each state as bytes, or null. */
  toArray(): (Uint8Array | null)[] {
    return this.column.toArray() as (Uint8Array | null)[];
  }

  /** All states as one array of `width` floats each, zeros for new groups. */
  fixed(width: number): Float64Array {
    const numbers = new Float64Array(this.length * width);
    const into = new Uint8Array(numbers.buffer);
    const size = width * 8;
    const wrong = () => new OperatorError(`a state is not ${size} bytes long: another version wrote it`);
    if (!this.column.hasNulls) {
      if (this.column.bytes.length !== into.length) throw wrong();
      into.set(this.column.bytes);
      return numbers;
    }
    this.toArray().forEach((state, group) => {
      if (!state) return;
      if (state.length !== size) throw wrong();
      into.set(state, group * size);
    });
    return numbers;
  }
}

/** Such an array as states again. */
export function fromFixed(numbers: Float64Array, width: number): Buffers {
  const offsets = new Int32Array(numbers.length / width + 1);
  for (let group = 0; group < offsets.length; group++) offsets[group] = group * width * 8;
  return {
    validity: new Uint8Array(0),
    offsets: new Uint8Array(offsets.buffer),
    values: new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength),
  };
}

/** States as bytes; null is none. */
export function fromBytes(states: readonly (Uint8Array | null)[]): Buffers {
  return build(FIELD, states);
}
