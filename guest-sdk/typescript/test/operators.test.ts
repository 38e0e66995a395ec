/** Operators of each kind, natively. */

import assert from "node:assert/strict";
import { test } from "node:test";

import "./operators.js";
import { RunningAggregate } from "../src/aggregates.js";
import * as ms from "../src/index.js";
import { kinds, plugin } from "../src/registry.js";
import * as testing from "../src/testing.js";
import { statesOf } from "../src/testing/running.js";

test("a transform keeps, rejects, skips and tells", () => {
  const rows = [{ text: "abc" }, { text: null }, { text: "x" }, { text: "äöü" }];
  const clock = { batchId: 7n, now: 0n, watermark: null };
  const ran = testing.transform("length", rows, { column: "text", least: 2 }, {}, clock);
  assert.deepEqual(ran.rows, [
    { text: "abc", length: 3n },
    { text: "äöü", length: 3n },
  ]);
  assert.deepEqual([ran.rejected, ran.counts, ran.observed], [[{ row: 1, reason: "no text" }], { batches: 1 }, { rows: [4] }]);
  assert.deepEqual(ran.logs, [{ level: "debug", message: "4 rows in batch 7" }]);
});

test("no rows are no rows", () => {
  assert.deepEqual(testing.transform("length", [], { column: "text" }, { text: ms.utf8 }).rows, []);
  assert.deepEqual(testing.transform("twice", [], {}, { n: ms.float64 }).rows, []);
});

test("rows are rejected alone", () => {
  const ran = testing.transform("twice", [{ n: 1 }, { n: null }, { n: 3 }]);
  assert.deepEqual(ran.rows.map((row) => row.n), [1, 10, 3, 30]);
  assert.deepEqual(ran.rejected, [{ row: 1, reason: "no number" }]);
});

test("the schema of a config follows from its shapes", () => {
  assert.deepEqual(plugin.operators.get("length")!.config.schema, {
    type: "object",
    properties: {
      column: { type: "string" },
      least: { type: "integer", default: 0 },
      tags: { type: "array", items: { type: "string" } },
    },
    required: ["column"],
    additionalProperties: false,
  });
  assert.deepEqual(kinds(), ["transform", "aggregate", "keyed"]);
});

test("aggregates merge workers, over columns and over rows, and take out again", () => {
  const batches = [[{ k: "a", n: 1 }, { k: "b", n: 5 }], [{ k: "a", n: 2 }], []];
  const sums = testing.aggregate("sum", batches, ["k"], {}, {}, batches.slice(0, 1));
  assert.deepEqual(sums.rows, [
    { k: "a", count: 1n, sum: 2 },
    { k: "b", count: 0n, sum: 0 },
  ]);
  const longest = testing.aggregate("longest", [[{ k: "a", text: "x" }], [{ k: "a", text: "xyz" }]], ["k"]);
  assert.deepEqual(longest.rows, [{ k: "a", longest: "xyz" }]);
});

test("no groups are no rows", () => {
  for (const operator of ["fragile", "fragile-columns"]) {
    assert.deepEqual(testing.aggregate(operator, [[]], ["k"], { how: "" }, { k: ms.utf8 }).rows, []);
    const running = new RunningAggregate(operator, '{"how":""}', new ms.Schema([]));
    const { rows, columns } = running.finish(statesOf([]));
    const nothing = new Uint8Array(0);
    assert.equal(rows, 0);
    assert.deepEqual(columns, [
      { validity: nothing, offsets: nothing, values: nothing },
      { validity: nothing, offsets: new Uint8Array(4), values: nothing },
    ]);
  }
});

const keeper = () => new testing.Keeper("silent", ["k"], { k: ms.utf8, at: ms.timestamp });

test("a key has a state, with bigints, and a timer", () => {
  const kept = keeper();
  const ran = kept.turn([{ k: "a", at: 5n }, { k: "b", at: 7n }, { k: "a", at: null }]);
  assert.deepEqual([ran.rows, ran.rejected], [[], [{ row: 2, reason: "no time" }]]);
  assert.deepEqual([kept.states, kept.timers], [{ '["a"]': 5n, '["b"]': 7n }, { '["a"]': 15n, '["b"]': 17n }]);
  assert.deepEqual(kept.advance(14n).rows, []);
  assert.deepEqual(kept.turn([{ k: "b", at: 16n }], 15n).rows, [{ k: "a", since: 5n }]);
  assert.deepEqual([kept.states, kept.timers], [{ '["b"]': 16n }, { '["b"]': 26n }]);
});

test("states of an earlier version are migrated", () => {
  const kept = keeper();
  kept.migrate("1.0.0", { k: "a" }, 5n);
  assert.deepEqual(kept.states, { '["a"]': 5_000_000n });
});
