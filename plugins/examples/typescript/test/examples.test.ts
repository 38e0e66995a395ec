/** The operators natively, where the golden cases in `../cases` do not look: timers, states, and what goes wrong. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { OperatorError, float64, int64, timestamp, utf8 } from "millstream-plugin";
import { Keeper, aggregate, transform } from "millstream-plugin/testing";

import "../src/index.js";

function refused(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof OperatorError);
    return error.message;
  }
  assert.fail("nothing was thrown");
}

test("only spaces separate words", () => {
  const rows = ["  to bé\tor \u00a0not  ", null, "", "🦀"].map((text) => ({ text }));
  const ran = transform("split-words", rows, { column: "text" });
  assert.deepEqual(ran.rows.map((row) => row.word), ["to", "bé\tor", "\u00a0not", "🦀"]);
  const nothing = transform("split-words", [{ text: null }, { text: "" }], { column: "text" }, { text: utf8 });
  assert.deepEqual(nothing.rows, []);
  const many = transform("split-words", Array(100_000).fill({ text: "a b" }), { column: "text", output: "w" });
  assert.deepEqual([many.rows.length, many.rows.at(-1)], [200_000, { w: "b" }]);
});

test("prices are converted, nulls stay", () => {
  const rows = [1.5, null, Infinity, -0, NaN].map((price) => ({ price, n: 1 }));
  const config = { column: "price", rate: 2 };
  const ran = transform("currency", rows, config);
  assert.deepEqual(ran.rows.map((row) => row.converted), [3, null, Infinity, -0, NaN]);
  assert.deepEqual(transform("currency", [{ price: 4 }], config).rows, [{ price: 4, converted: 8 }]);
  const told = refused(() => transform("currency", rows, { ...config, output: "price" }));
  assert.equal(told, "operator `currency`: there are two columns `price`");
});

function pick(type: string, texts: (string | null)[], pointer = "/a") {
  const config = { column: "text", fields: [{ name: "a", type, pointer }] };
  const ran = transform("json-pick", texts.map((text) => ({ text })), config, { text: utf8 });
  return { values: ran.rows.map((row) => row.a), reasons: ran.rejected.map(({ row, reason }) => `${row}: ${reason}`) };
}

test("int64 is exact", () => {
  const right = ['{"a":9007199254740993}', '{"a":-9223372036854775808}', '{"a":2e3}', '{"a":4.0}', '{"a":-0}', null];
  const values = [9007199254740993n, -(2n ** 63n), 2000n, 4n, 0n, null];
  assert.deepEqual(pick("int64", right), { values, reasons: [] });
  const wrong = ['{"a":9223372036854775808}', '{"a":1.5}', '{"a":1e17}', '{"a":true}', '{"a":"1"}', `{"a":${"9".repeat(5000)}}`];
  const reasons = wrong.map((_, row) => `${row}: /a is no int64`);
  assert.deepEqual(pick("int64", wrong), { values: [], reasons });
});

test("what looks like a number inside of a text is none", () => {
  const config = { column: "text", fields: [{ name: "n", type: "int64" }, { name: "s", type: "utf8" }, { name: "7", type: "float64" }] };
  const text = '{"s":"\\"1\\\\","7":0.5,"n":12}';
  assert.deepEqual(transform("json-pick", [{ text }], config).rows, [{ n: 12n, s: '"1\\', 7: 0.5 }]);
});

test("what is not JSON is rejected", () => {
  const texts = ['{"a":NaN}', "Infinity", '{"a":1} x', "", "{'a':1}", '{"a":01}', '"\t"', "[1,]"];
  for (const type of ["int64", "utf8"]) {
    assert.deepEqual(pick(type, texts), { values: [], reasons: texts.map((_, row) => `${row}: not JSON`) });
  }
});

test("pointers lead through objects and arrays", () => {
  const text = '{"a":[{"b/c":{"~":"deep"}}, 5]}';
  assert.deepEqual(pick("utf8", [text], "/a/0/b~1c/~0").values, ["deep"]);
  for (const nowhere of ["/a/01", "/a/-", "/a/2", "/a/9999999999999", "/a/1/x", "/b", "/a/0/b~1c/~1", "/a/length", "/toString"]) {
    assert.deepEqual(pick("utf8", [text], nowhere), { values: [null], reasons: [] }, nowhere);
    assert.deepEqual(pick("int64", [text], nowhere), { values: [null], reasons: [] }, nowhere);
  }
  assert.deepEqual(pick("float64", ["5"], "").values, [5]);
  const told = refused(() => pick("utf8", ["{}"], "a"));
  assert.equal(told, "operator `json-pick`: config.fields: the pointer `a` does not begin with /");
});

test("half a character is rejected alone, and the last of equal members wins", () => {
  const { values, reasons } = pick("utf8", ['{"a":"\\ud800"}', '{"a":"\\ud83e\\udd80"}', '{"a":"x","a":"y"}']);
  assert.deepEqual([values, reasons.length], [["🦀", "y"], 1]);
  assert.deepEqual(pick("int64", ['{"a":1,"a":2}']).values, [2n]);
});

test("means are merged, and nulls do not count", () => {
  const batches = [[{ k: "a", n: 1n }, { k: "b", n: null }], [{ k: "a", n: 4n }]];
  const types = { n: int64 };
  assert.deepEqual(aggregate("mean", batches, ["k"], { column: "n" }, types).rows, [
    { k: "a", mean: 2.5 },
    { k: "b", mean: null },
  ]);
  const floats = aggregate("mean", [[{ k: 1, n: 0.5 }, { k: 1, n: 1.5 }]], ["k"], { column: "n" }, { n: float64 });
  assert.deepEqual(floats.rows, [{ k: 1, mean: 1 }]);
});

const sessions = (gap_ms = 1) => new Keeper("sessions", ["user"], { user: utf8, at: timestamp }, { time: "at", gap_ms });
const rows = (...times: (bigint | null)[]) => times.map((at) => ({ user: "a", at }));

test("a session ends when the gap has passed", () => {
  const keeper = sessions();
  keeper.turn([...rows(0n, 900n), { user: "b", at: 500n }]);
  assert.deepEqual(keeper.timers, { '["a"]': 1900n, '["b"]': 1500n });
  assert.deepEqual(keeper.advance(1500n).rows, [{ user: "b", start: 500n, end: 500n, count: 1n }]);
  const ran = keeper.turn(rows(5001n), 5000n);
  assert.deepEqual(ran.rows, [{ user: "a", start: 0n, end: 900n, count: 2n }]);
  assert.deepEqual(keeper.timers, { '["a"]': 6001n });
});

test("rows out of order open, join and part sessions", () => {
  const keeper = sessions();
  keeper.turn(rows(3000n, 0n, 1000n, 1500n));
  keeper.turn(rows(2200n));
  assert.deepEqual(keeper.advance(1200n).rows, [{ user: "a", start: 0n, end: 0n, count: 1n }]);
  assert.deepEqual(keeper.advance(4000n).rows, [{ user: "a", start: 1000n, end: 3000n, count: 4n }]);
  assert.deepEqual([keeper.states, keeper.timers], [{}, {}]);
});

test("sessions refuse rows without a time, and gaps of nothing", () => {
  assert.deepEqual(sessions().turn(rows(0n, null)).rejected, [{ row: 1, reason: "`at` is null" }]);
  assert.equal(refused(() => sessions(0)), "operator `sessions`: config.gap_ms is 0: every row would be a session");
});

test("states of any version stay", () => {
  const keeper = sessions();
  const state = [{ start: 0n, end: 5n, count: 2n }];
  keeper.migrate("0.0.1", { user: "a" }, state);
  assert.deepEqual(keeper.states, { '["a"]': state });
});

test("each hostile way is an error that names column and row", () => {
  const rows = [{ text: "good" }, { text: "bad" }];
  const ways: [string, RegExp][] = [
    ["throw", /^Error: a bad row \(in .*throw; last read: column `text`, row 1\)$/],
    ["recurse", /^RangeError: Maximum call stack size exceeded \(in depth\)$/],
    ["fatal", /^Error: the end \(in .*fatal\)$/],
    ["uneven", /^column `text`, row 1: no value: the column has 1 values, not 2 /],
    ["null", /^column `out`, row 1: null, but the column is not nullable$/],
    ["overflow", /^column `out`, row 1: bigint 9223372036854775808 is no int64$/],
    ["wrong-type", /^column `out`, row 0: "one" is no int64$/],
  ];
  for (const [way, message] of ways) {
    const told = refused(() => transform("hostile", rows, { do: way, column: "text" }));
    assert.match(told.replace("operator `hostile`: ", ""), message);
  }
  for (const way of ["nothing", "throw"]) {
    assert.deepEqual(transform("hostile", [{ text: "good" }], { do: way, column: "text" }).rows, [{ text: "good" }]);
  }
});

test("what is told arrives", () => {
  const rows = [{ text: "a" }, { text: null }];
  assert.deepEqual(transform("hostile", rows, { do: "tell", column: "text" }), {
    rows,
    rejected: [],
    logs: [{ level: "info", message: "2 rows" }],
    counts: { told: 2 },
    observed: { share: [0.5] },
  });
});

test("an aggregate that breaks says where", () => {
  const batches = [[{ k: "a", text: "x" }, { k: "a", text: "bad" }], [{ k: "a", text: null }]];
  const sum = (deed: string) => aggregate("hostile-sum", batches, ["k"], { do: deed, column: "text" });
  assert.deepEqual(sum("nothing").rows, [{ k: "a", n: 3n }]);
  const ways: [string, RegExp][] = [
    ["throw", /^Error: a bad row \(in .*accumulate; last read: column `text`, row 1\)$/],
    ["throw-merge", /^merge: Error: a bad merge \(in .*merge\)$/],
    ["throw-finish", /^finish: Error: a bad finish \(in .*finish\)$/],
    ["null", /^column `n`, row 0: null, but the column is not nullable$/],
    ["overflow", /^column `n`, row 0: bigint 9223372036854775808 is no int64$/],
  ];
  for (const [way, message] of ways) {
    assert.match(refused(() => sum(way)).replace("operator `hostile-sum`: ", ""), message);
  }
});

test("a keyed operator that breaks says where", () => {
  const types = { k: utf8, text: utf8, at: timestamp };
  const kept = (deed: string) => new Keeper("hostile-keyed", ["k"], types, { do: deed, column: "text", time: "at" });
  const rows = [{ k: "a", text: "x", at: 5n }, { k: "b", text: null, at: null }, { k: "a", text: "bad", at: 7n }];
  const emitted = [{ k: "a", n: 1n }, { k: "b", n: 1n }, { k: "a", n: 2n }];
  const nothing = kept("nothing");
  assert.deepEqual([nothing.turn(rows).rows, nothing.timers], [emitted, {}]);
  const timer = kept("throw-timer");
  assert.deepEqual([timer.turn(rows).rows, timer.timers], [emitted, { '["a"]': 1007n }]);
  const told = refused(() => timer.advance(1007n));
  assert.match(told, /^operator `hostile-keyed`: timer of key `k` "a": Error: a bad timer \(in .*onTimer\)$/);
  const ways: [string, RegExp][] = [
    ["throw", /^row 2: Error: a bad row \(in .*onRow\)$/],
    ["null", /^column `n`, row 0, key `k` "a": null, but the column is not nullable$/],
    ["overflow", /^column `n`, row 0, key `k` "a": bigint 9223372036854775808 is no int64$/],
  ];
  for (const [way, message] of ways) {
    assert.match(refused(() => kept(way).turn(rows)).replace("operator `hostile-keyed`: ", ""), message);
  }
});
