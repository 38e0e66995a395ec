/** What goes wrong is told with operator, column and row. */

import assert from "node:assert/strict";
import { test } from "node:test";

import "./operators.js";
import * as ms from "../src/index.js";
import { States, decode, encode, fromBytes } from "../src/states.js";
import * as testing from "../src/testing.js";

function refused(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof ms.OperatorError);
    return error.message;
  }
  assert.fail("nothing was thrown");
}

test("a config that is wrong is told with its key", () => {
  const wrong: [unknown, string][] = [
    [{}, "config.column: missing"],
    [{ column: "text", lest: 1 }, "config has no key `lest`; did you mean `least`?"],
    [{ column: "text", least: "1" }, 'config.least: an integer is needed, not "1"'],
    [{ column: "text", least: 1.5 }, "config.least: an integer is needed, not 1.5"],
    [{ column: "text", tags: ["a", 1] }, "config.tags[1]: a string is needed, not 1"],
    [{ column: "txt" }, "there is no column `txt`; did you mean `text`?"],
    [{ column: "n" }, "column `n` is int64; it must be utf8"],
  ];
  for (const [config, message] of wrong) {
    const told = refused(() => testing.transform("length", [{ text: "a", n: 1n }], config));
    assert.equal(told, `operator \`length\`: ${message}`);
  }
});

const FAILURES: Record<string, RegExp> = {
  short: /^the output column `n` has 1 values, not 2 \(`out.flat\(\)` allows other numbers of rows\)$/,
  "not set": /^the output column `n` was not set$/,
  unknown: /^there is no output column `m`: `open` promised `n`$/,
  throw: /^SyntaxError: .+ \(in .+\)$/,
  text: /^a text$/,
  loop: /^column `n`, row 1: RangeError: zero \(in fail\)$/,
  map: /^column `n`, row 1: RangeError: zero \(in fail\)$/,
  rows: /^row 1: RangeError: zero \(in fail\)$/,
  "after a loop": /^there is no column `none`; there are `n`, `s`$/,
  null: /^column `n`, row 1: null, but the column is not nullable$/,
  overflow: /^column `n`, row 1: bigint 9223372036854775808 is no int64$/,
  inexact: /^column `n`, row 1: number 9007199254740992 is no int64, because numbers are exact up to 2\^53 only/,
  column: /^column `n`: a column of utf8 cannot be one of int64$/,
  "no values": /^the output column `n` was given no values$/,
  row: /^there is no row 2: the batch has 2 rows$/,
  "kept row": /^there is no row -1: the batch has 2 rows$/,
};

test("every failure names operator, column and row", () => {
  for (const [how, message] of Object.entries(FAILURES)) {
    const told = refused(() => testing.transform("broken", [{ n: 1n, s: "a" }, { n: 0n, s: "b" }], { how }));
    assert.ok(told.startsWith("operator `broken`: "), told);
    assert.match(told.slice("operator `broken`: ".length), message, how);
  }
});

test("aggregates name the row", () => {
  const texts = [[{ k: 1, text: "a" }, { k: 1, text: null }]];
  assert.match(refused(() => testing.aggregate("longest", texts, ["k"])), /^operator `longest`: row 1: TypeError: /);
  const numbers = [[{ k: 1, n: 1 }, { k: 1, n: null }]];
  const told = refused(() => testing.aggregate("sum", numbers, ["k"]));
  assert.match(told, /^operator `sum`: column `n`, row 1: TypeError: no number/);
});

test("what was added for good cannot be taken out", () => {
  const batches = [[{ k: 1, text: "a" }]];
  assert.match(refused(() => testing.aggregate("longest", batches, ["k"], {}, {}, batches)), /there is no `retract`/);
});

test("a keyed operator names the row, or the column of its output", () => {
  const keeper = new testing.Keeper("silent", ["k"], { k: ms.utf8, at: ms.timestamp });
  const emitted = refused(() => keeper.turn([{ k: "a", at: 1n }, { k: "a", at: -1n }]));
  assert.equal(emitted, "operator `silent`: row 1: there is no output column `until`");
  assert.match(refused(() => keeper.turn([{ k: "a", at: 2n ** 62n + 1n }])), /row 0: a timer cannot be set to 18446744073709551620/);
  keeper.turn([{ k: "b", at: 1n }]);
  keeper.migrate("2.0.0", { k: "b" }, null);
  assert.equal(refused(() => keeper.advance(50n)), "operator `silent`: column `since`, row 0: null, but the column is not nullable");
});

test("states that another kit wrote are told", () => {
  const { buffers } = new States(1, fromBytes([new Uint8Array(3)]));
  assert.match(refused(() => new States(1, buffers).fixed(2)), /a state is not 16 bytes long: another version wrote it/);
  assert.match(refused(() => decode(new Uint8Array(1))), /a state is not what this kit writes/);
  assert.match(refused(() => encode(() => 1)), /a state cannot be a function/);
});

test("an operator that is not there is told", () => {
  const told = refused(() => testing.transform("lenght", []));
  assert.equal(told, "operator `lenght`: this plugin has no transform of that name; did you mean `length`?");
});
