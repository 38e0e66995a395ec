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
  short: /^column `n`, row 1: no value: the column has 1 values, not 2 \(`out.flat\(\)` allows other numbers of rows\)$/,
  long: /^column `n`, row 2: a value too many: the column has 3 values, not 2 \(`out.flat\(\)` allows/,
  "not set": /^the output column `n` was not set$/,
  unknown: /^there is no output column `m`: `open` promised `n`$/,
  throw: /^SyntaxError: .+ \(in .+\)$/,
  text: /^a text$/,
  nothing: /^null was thrown, which is no Error$/,
  undefined: /^undefined was thrown, which is no Error$/,
  object: /^\{"code":"5"\} was thrown, which is no Error$/,
  bigint: /^5 was thrown, which is no Error$/,
  untellable: /^what was thrown cannot be told: it is no ordinary Error$/,
  cause: /^TypeError: no price \(in .*cause\); cause: Error; cause: the wire$/,
  "cause in itself": /^Error: round(; cause: Error: round){5}$/,
  async: /^a promise was answered, and nothing waits for it: operators cannot be `async`$/,
  "async rows": /^row 0: a promise was answered, and nothing waits for it: operators cannot be `async`$/,
  "no row": /^row 0: a row is an object, not 5$/,
  loop: /^RangeError: zero \(in fail; last read: column `n`, row 1\)$/,
  map: /^column `n`, row 1: RangeError: zero \(in fail\)$/,
  rows: /^RangeError: zero \(in fail; last read: row 1\)$/,
  "two loops": /^RangeError: zero \(in fail; last read: column `n`, row 0; column `s`, row 1\)$/,
  "map rows": /^row 1: RangeError: zero \(in fail\)$/,
  // A loop that was left says no more than where it was.
  "after a break": /^RangeError: zero \(in fail; last read: column `n`, row 0\)$/,
  "after a caught error": /^there is no column `none`; there are `n`, `s`$/,
  "in other words": /^column `n`, row 1: no good; cause: RangeError: zero$/,
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

test("the first row without a value is named, whichever column it lacks in", () => {
  const told = refused(() => testing.transform("flat", [{ n: 1n }]));
  assert.equal(told, "operator `flat`: column `n`, row 1: no value: the column has 1 values, not 3");
});

test("an `open` that is async is refused", () => {
  assert.match(refused(() => testing.transform("async-open", [])), /^operator `async-open`: a promise was answered/);
});

const ZERO = "RangeError: zero (in fail)";
const PROMISE = "a promise was answered, and nothing waits for it: operators cannot be `async`";

test("every function of an aggregate says where it failed", () => {
  const batches = [[{ k: 1, n: 1n }, { k: 2, n: 1n }, { k: 2, n: 2n }], [{ k: 2, n: 1n }]];
  const failure = (operator: string, how: string) =>
    refused(() => testing.aggregate(operator, batches, ["k"], { how }, {}, batches)).replace(`operator \`${operator}\`: `, "");
  const places = { create: "state 0", add: "row 2", merge: "merge, state 0", retract: "retract, state 0", finish: "finish, state 0" };
  for (const [how, place] of Object.entries(places)) {
    assert.equal(failure("fragile", how), `${place}: ${ZERO}`);
    assert.equal(failure("fragile", `async ${how}`), `${place}: ${PROMISE}`);
  }
  assert.equal(failure("fragile", "no row"), "finish, state 0: a row is an object, not 5");
  const columns = { accumulate: "", merge: "merge: " };
  for (const [how, place] of Object.entries(columns)) {
    assert.equal(failure("fragile-columns", how), `${place}${ZERO}`);
    assert.equal(failure("fragile-columns", `async ${how}`), `${place}${PROMISE}`);
  }
  const finish = (how: string) => refused(() => testing.aggregate("fragile-columns", batches, ["k"], { how }));
  assert.equal(finish("finish"), `operator \`fragile-columns\`: finish: ${ZERO}`);
  assert.equal(finish("async finish"), `operator \`fragile-columns\`: finish: ${PROMISE}`);
});

test("every function of a keyed operator says where it failed", () => {
  const keeper = (how: string) => new testing.Keeper("fragile-keyed", ["k", "n"], { k: ms.utf8, n: ms.int64 }, { how });
  const rows = [{ k: "a", n: 1n }, { k: "b", n: 2n }];
  for (const [before, words] of [["", ZERO], ["async ", PROMISE]]) {
    assert.equal(refused(() => keeper(`${before}onRow`).turn(rows)), `operator \`fragile-keyed\`: row 1: ${words}`);
    const timer = keeper(`${before}onTimer`);
    timer.turn(rows);
    assert.equal(refused(() => timer.advance(2n)), `operator \`fragile-keyed\`: timer of key \`k\` "b", \`n\` 2: ${words}`);
    const told = refused(() => keeper(`${before}migrate`).migrate("0.1.0", { k: "a" }, 1));
    assert.equal(told, `operator \`fragile-keyed\`: migrate, state 0: ${words}`);
  }
  const told = refused(() => keeper("state").turn(rows));
  assert.equal(told, "operator `fragile-keyed`: key `k` \"b\", `n` 2: a state cannot be a function");
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
  assert.match(refused(() => keeper.turn([{ k: "a", at: 2n ** 62n + 1n }])), /row 0: a timer cannot be set to 18446744073709551620: it is no int64/);
  keeper.turn([{ k: "b", at: 1n }]);
  keeper.migrate("2.0.0", { k: "b" }, null);
  assert.equal(refused(() => keeper.advance(50n)), "operator `silent`: column `since`, row 0, key `k` \"b\": null, but the column is not nullable");
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
