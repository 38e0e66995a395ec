/** `hostile`: does what operators must not do, for tests of the host and of the kit. */

import {
  type Batch, type Output, Schema, type Value, config, count, field, int64, log, observe, transform, utf8,
} from "millstream-plugin";

type Way = (batch: Batch, out: Output, column: string) => void;

const OUT = new Schema([field("out", utf8, false)]);
const NUMBERS = new Schema([field("out", int64, false)]);
const DEEDS = [
  "nothing", "throw", "spin", "grow", "recurse", "fatal", "tell", "uneven", "null", "overflow", "wrong-type",
] as const;
const OUTPUTS: Record<string, Schema> = { null: OUT, overflow: NUMBERS, "wrong-type": NUMBERS };

const WAYS = {
  /** Passes rows through. */
  nothing: (batch, out) => out.keep(batch),

  /** Breaks at a bad row. */
  throw(batch, out, column) {
    for (const text of batch.column(column)) if (text === "bad") throw new Error("a bad row");
    out.keep(batch);
  },

  /** Never ends. */
  spin() {
    for (;;);
  },

  /** Takes all memory. */
  grow() {
    const pieces: Uint8Array[] = [];
    for (;;) pieces.push(new Uint8Array(1 << 20).fill(1));
  },

  /** Calls itself without end. */
  recurse: (batch) => log(`${depth(batch.length)} calls`),

  /** Dies for good; nothing that JavaScript does is worse than an error. */
  fatal() {
    throw new Error("the end");
  },

  /** Tells the host in every way. */
  tell(batch, out) {
    log(`${batch.length} rows`);
    count("told", batch.length);
    observe("share", 0.5);
    out.keep(batch);
  },

  /** One value too few. */
  uneven(batch, out, column) {
    out.keep(batch);
    out.set(column, batch.column(column).toArray().slice(0, -1));
  },

  /** null where none is allowed, at the last row. */
  null: (batch, out, column) => out.set("out", lastOne(batch.column(column).toArray(), null)),

  /** A bigint that has no place in 64 bits, at the last row. */
  overflow: (batch, out, column) => out.set("out", lastOne(batch.column(column).map(() => 0n), 2n ** 63n)),

  /** A text in a column of numbers, at the first row. */
  "wrong-type": (batch, out, column) => out.set("out", batch.column(column).map(() => "one")),
} satisfies Record<(typeof DEEDS)[number], Way>;

function depth(from: number): number {
  return 1 + depth(from + 1);
}

function lastOne(values: Value[], value: Value): Value[] {
  return values.map((one, row) => (row === values.length - 1 ? value : one));
}

transform("hostile", {
  summary: "Breaks in the way that it is told.",
  config: {
    do: config.oneOf(DEEDS, "What to do."),
    column: config.string("A text column; with `throw`, the text `bad` in it is what breaks."),
  },
  open({ do: name, column }, input) {
    input.need(column, utf8);
    const way: Way = WAYS[name];
    return { output: OUTPUTS[name] ?? input, process: (batch, out) => way(batch, out, column) };
  },
});
