/** Values to buffers and back. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { build } from "../src/builders.js";
import { Column, Value } from "../src/columns.js";
import * as ms from "../src/index.js";

const CASES: [ms.DataType, Value[]][] = [
  [ms.boolean, [true, false, null, true, null, false, true, true, false]],
  [ms.int32, [0, -1, null, 2 ** 31 - 1, -(2 ** 31)]],
  [ms.int64, [0n, null, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)]],
  [ms.float32, [0.5, null, -0, Infinity, NaN]],
  [ms.float64, [0.1, null, -1e300, Infinity, NaN]],
  [ms.date, [0, -1, null]],
  [ms.timestamp, [-1n, null, 1_700_000_000_123_456n]],
  [ms.utf8, ["ä", "a\0b", null, "\0", ""]],
  [ms.utf8, ["", "ä\n", null, "日本語", "a".repeat(20_000), "🦀"]],
  [ms.binary, [new Uint8Array(), new Uint8Array([255, 0]), null]],
];

const back = (type: ms.DataType, values: Value[]) => {
  const field = ms.field("c", type);
  return new Column(field, values.length, build(field, values)).toArray();
};

test("values of every type come back", () => {
  for (const [type, values] of CASES) {
    for (const some of [values, values.filter((value) => value !== null), [null, null], []]) {
      assert.deepEqual(back(type, some), some, type.name);
    }
  }
});

test("what a list does not have is null", () => {
  const sparse = ["a", "b"];
  sparse[3] = "ä";
  assert.deepEqual(back(ms.utf8, sparse), ["a", "b", null, "ä"]);
  assert.deepEqual(back(ms.int64, Object.assign([], { 1: 5n })), [null, 5n]);
});

test("a number is taken as int64 as long as it is exact", () => {
  assert.deepEqual(back(ms.int64, [5, -(2 ** 53 - 1)]), [5n, BigInt(-(2 ** 53 - 1))]);
});

test("a typed array of the right kind is taken as it is", () => {
  const values = Float64Array.from([1.5, 2]);
  assert.equal(build(ms.field("c", ms.float64), values).values.buffer, values.buffer);
});

test("a wrong value is named with its column and row", () => {
  const wrong: [ms.DataType, Value[], RegExp][] = [
    [ms.int64, [1n, 2n ** 63n], /column `c`, row 1: bigint 9223372036854775808 is no int64/],
    [ms.int64, [2 ** 53], /row 0: number 9007199254740992 is no int64, because numbers are exact up to 2\^53 only/],
    [ms.int32, [null, 1.5], /row 1: number 1.5 is no int32/],
    [ms.int32, [2 ** 31], /row 0: number 2147483648 is no int32/],
    [ms.float64, ["1"], /row 0: "1" is no float64/],
    [ms.utf8, ["a", 5], /row 1: number 5 is no utf8/],
    [ms.utf8, ["a", new Uint8Array([7])], /row 1: object 7 is no utf8/],
    [ms.utf8, ["a", "\ud800"], /row 1: .* has half a character/],
    [ms.utf8, [null, "ä", "\ud83e", "\udd80"], /row 2: .* has half a character/],
    [ms.boolean, [true, 1], /row 1: number 1 is no boolean/],
  ];
  for (const [type, values, message] of wrong) {
    assert.throws(() => build(ms.field("c", type), values), message);
  }
});

test("null where none is allowed is named", () => {
  assert.throws(() => build(ms.field("c", ms.int64, false), [1n, null]), /column `c`, row 1: null, but the column is not/);
});

test("a column of another type is refused", () => {
  const field = ms.field("c", ms.utf8);
  const column = new Column(field, 1, build(field, ["a"]));
  assert.throws(() => build(ms.field("d", ms.int64), column), /column `d`: a column of utf8 cannot be one of int64/);
  const nulls = new Column(field, 2, build(field, ["a", null]));
  assert.throws(() => build(ms.field("d", ms.utf8, false), nulls), /column `d`, row 1: null, but/);
});
