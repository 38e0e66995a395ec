/** Small operators of each kind, for the tests. */

import * as ms from "../src/index.js";

const { config } = ms;

ms.transform("length", {
  summary: "Adds the length of a text column.",
  config: { column: config.string(), least: config.integer().or(0), tags: config.list(config.string()).optional() },
  open({ column, least }, input) {
    input.need(column, ms.utf8);
    return {
      output: input.with(ms.field("length", ms.int64)),
      process(batch, out) {
        const lengths = batch.column(column).map((text) => (text as string | null)?.length ?? null);
        lengths.forEach((length, row) => {
          if (length === null) out.reject(row, "no text");
          else if (length < least) out.skip(row);
        });
        out.set("length", lengths);
        out.keep(batch);
        ms.count("batches");
        ms.observe("rows", batch.length);
        ms.log(`${batch.length} rows in batch ${batch.clock.batchId}`, "debug");
      },
    };
  },
});

ms.transform("twice", {
  summary: "Each row twice.",
  open: (_, input) =>
    ms.mapRows(input, (row) => {
      if (row.n === null) throw new ms.Reject("no number");
      return [row, { n: (row.n as number) * 10 }];
    }),
});

const fail = (n: ms.Value) => {
  if (n === 0n) throw new RangeError("zero");
};

const WAYS: Record<string, (batch: ms.Batch, out: ms.Output) => void> = {
  short: (_, out) => out.set("n", [1]),
  long: (_, out) => out.set("n", [1, 2, 3]),
  "not set": () => {},
  unknown: (_, out) => out.set("m", [1, 2]),
  throw: () => JSON.parse("{"),
  text: () => {
    throw "a text";
  },
  nothing: () => {
    throw null;
  },
  undefined: () => {
    throw undefined;
  },
  object: () => {
    throw { code: 5n.toString() };
  },
  bigint: () => {
    throw 5n;
  },
  untellable: () => {
    throw Object.create(null, { toJSON: { get: () => fail(0n) } });
  },
  cause: () => {
    throw new TypeError("no price", { cause: new Error("", { cause: "the wire" }) });
  },
  "cause in itself": () => {
    const error = new Error("round");
    error.cause = error;
    throw error;
  },
  async: (async () => fail(0n)) as () => void,
  "async rows": (batch, out) => ms.mapRows(batch.schema, (async () => fail(0n)) as never).process(batch, out),
  "no row": (batch, out) => ms.mapRows(batch.schema, () => 5 as never).process(batch, out),
  loop(batch) {
    for (const n of batch.column("n")) fail(n);
  },
  map: (batch) => void batch.column("n").map(fail),
  rows(batch) {
    for (const row of batch.rows()) fail(row.n);
  },
  "two loops"(batch) {
    for (const n of batch.column("n")) for (const s of batch.column("s")) if (s === "b") fail(n && 0n);
  },
  "map rows": (batch, out) => ms.mapRows(batch.schema, (row) => fail(row.n) as never).process(batch, out),
  "after a break"(batch) {
    for (const n of batch.column("n")) if (n === 1n) break;
    fail(0n);
  },
  "after a caught error"(batch) {
    try {
      batch.column("n").map(fail);
    } catch {
      batch.column("none");
    }
  },
  "in other words"(batch) {
    try {
      batch.column("n").map(fail);
    } catch (error) {
      throw new ms.OperatorError("no good", { cause: error });
    }
  },
  "after a loop": (batch) => void ([...batch.column("n")].length && batch.column("none")),
  null: (_, out) => out.set("n", [1n, null]),
  overflow: (_, out) => out.set("n", [1n, 2n ** 63n]),
  inexact: (_, out) => out.set("n", [1, 2 ** 53]),
  column: (batch, out) => out.set("n", batch.column("s")),
  "no values": (_, out) => out.set("n", 5 as never),
  row: (_, out) => out.reject(2, "there is none"),
  "kept row": (batch, out) => out.keep(batch, [0, -1]),
};

ms.transform("broken", {
  summary: "Fails in every way.",
  config: { how: config.string() },
  open: ({ how }) => ({ output: new ms.Schema([ms.field("n", ms.int64, false)]), process: WAYS[how] }),
});

const Pairs = new ms.Schema([ms.field("n", ms.int64), ms.field("s", ms.utf8)]);

ms.transform("flat", {
  summary: "Columns of its own length, which is not one.",
  open: () => ({
    output: Pairs,
    process(_, out) {
      out.flat();
      out.set("n", [1]);
      out.set("s", ["a", "b", "c"]);
    },
  }),
});

ms.transform("async-open", { summary: "Wants to wait.", open: (async () => fail(0n)) as never });

/** Fails in the function that `how` names, or gives a promise there. */
function failing(how: string) {
  return (name: string) => {
    if (how === name) fail(0n);
    if (how === `async ${name}`) return Promise.reject(new Error("unheard")) as never;
  };
}

ms.aggregate("fragile", {
  summary: "Counts rows, or fails where it is told.",
  retracts: true,
  config: { how: config.string() },
  open({ how }): ms.OpenedAggregate<number> {
    const at = failing(how);
    return {
      output: Pairs,
      create: () => at("create") ?? 0,
      add: (state, row) => (row.n === 2n ? at("add") : undefined) ?? state + 1,
      merge: (left, right) => at("merge") ?? left + right,
      retract: (left, right) => at("retract") ?? left - right,
      finish: (state) => at("finish") ?? (how === "no row" ? (5 as never) : { n: state, s: "" }),
    };
  },
});

ms.aggregate("fragile-columns", {
  summary: "Counts rows, or fails where it is told.",
  config: { how: config.string() },
  open({ how }): ms.OpenedColumnAggregate {
    const at = failing(how);
    return {
      output: Pairs,
      width: 1,
      accumulate: (states, groups) => at("accumulate") ?? groups.forEach((group) => (states[group] += 1)),
      merge: (states, others) => at("merge") ?? others.forEach((count, group) => (states[group] += count)),
      finish(states, out) {
        out.set("n", Array.from(states));
        out.set("s", Array.from(states, () => ""));
        return at("finish");
      },
    };
  },
});

ms.keyed("fragile-keyed", {
  summary: "Sets a timer, or fails where it is told.",
  config: { how: config.string() },
  open({ how }): ms.OpenedKeyed<unknown> {
    const at = failing(how);
    return {
      output: new ms.Schema([]),
      onRow(key, row) {
        if (row.n !== 2n) return;
        key.setTimer(row.n);
        key.state = how === "state" ? () => 1 : 1;
        return at("onRow");
      },
      onTimer: () => at("onTimer"),
      migrate: () => at("migrate") ?? 1,
    };
  },
});

ms.aggregate("sum", {
  summary: "Counts and sums, over columns.",
  retracts: true,
  open: (): ms.OpenedColumnAggregate => ({
    output: new ms.Schema([ms.field("count", ms.int64), ms.field("sum", ms.float64)]),
    width: 2,
    accumulate(states, groups, batch) {
      batch.column("n").map((value, row) => {
        if (typeof value !== "number") throw new TypeError("no number");
        states[2 * groups[row]] += 1;
        states[2 * groups[row] + 1] += value;
      });
    },
    merge: (states, others) => others.forEach((value, place) => (states[place] += value)),
    retract: (states, others) => others.forEach((value, place) => (states[place] -= value)),
    finish(states, out) {
      out.set("count", states.filter((_, place) => place % 2 === 0) as unknown as number[]);
      out.set("sum", states.filter((_, place) => place % 2 === 1));
    },
  }),
});

ms.aggregate("longest", {
  summary: "The longest text.",
  open: (): ms.OpenedAggregate<string> => ({
    output: new ms.Schema([ms.field("longest", ms.utf8)]),
    create: () => "",
    add(state, row) {
      return this.merge(state, (row.text as string).trim());
    },
    merge: (left, right) => (right.length > left.length || (right.length === left.length && right < left) ? right : left),
    finish: (state) => ({ longest: state }),
  }),
});

ms.keyed("silent", {
  summary: "Tells which keys have been silent.",
  open: (): ms.OpenedKeyed<bigint> => ({
    output: new ms.Schema([ms.field("since", ms.timestamp, false)]),
    onRow(key, row) {
      const at = row.at as bigint | null;
      if (at === null) throw new ms.Reject("no time");
      if (at < 0n) key.emit({ until: at });
      if (at > 2n ** 62n) key.setTimer(4n * at);
      key.state = key.state === null || at > key.state ? at : key.state;
      key.setTimer(key.state + 10n);
    },
    onTimer(key) {
      key.emit({ since: key.state });
      key.state = null;
    },
    migrate: (version, state) => (version === "1.0.0" ? (state as bigint) * 1_000_000n : (state as bigint)),
  }),
});
