/** 64 bits that are numbers on their way: clocks and timers. */

import assert from "node:assert/strict";
import { test } from "node:test";

import "./operators.js";
import { keyed } from "../src/component.js";
import { clockOf, isExact, timeOf } from "../src/exact.js";
import { fromBytes } from "../src/states.js";
import { Keeper, transform } from "../src/testing.js";
import * as ms from "../src/index.js";

const EXACT_MAX = 2n ** 53n;
const INT64_MAX = 2n ** 63n - 1n;

test("what no number says is not exact", () => {
  const exact = [0n, -1n, EXACT_MAX, -EXACT_MAX, EXACT_MAX + 2n, 2n ** 62n, -(2n ** 63n)];
  assert.deepEqual(exact.filter((value) => !isExact(value)), []);
  const rounded = [EXACT_MAX + 1n, -EXACT_MAX - 1n, 2n ** 62n + 1n, INT64_MAX];
  assert.deepEqual(rounded.filter(isExact), []);
});

test("a clock of these centuries is exact", () => {
  const { batchId, now, watermark } = clockOf({ batchId: 7, now: 1_700_000_000_123_456, watermark: -5 });
  assert.deepEqual([batchId, now, watermark], [7n, 1_700_000_000_123_456n, -5n]);
  assert.equal(clockOf({ batchId: 7, now: 0, watermark: null }).watermark, null);
  assert.equal(clockOf({ batchId: 7, now: 0 }).watermark, null);
});

test("a watermark that is not exact is never ahead of the host's", () => {
  for (const watermark of [EXACT_MAX + 1n, EXACT_MAX + 3n, 2n ** 60n + 129n, 2n ** 60n - 1n, INT64_MAX, -(2n ** 60n) - 1n, -(2n ** 63n)]) {
    const given = clockOf({ batchId: 0, now: 0, watermark: Number(watermark) }).watermark!;
    assert.ok(given <= watermark && given >= watermark - 1024n && BigInt.asIntN(64, given) === given, `${watermark}: ${given}`);
  }
});

test("a clock that is not exact is an error for whoever looks at it", () => {
  const clock = clockOf({ batchId: -1e18, now: 2 ** 53, watermark: null });
  assert.throws(() => clock.now, /^OperatorError: `clock.now` is near 9007199254740992, and not known exactly/);
  assert.throws(() => clock.batchId, /`clock.batchId` is near -1000000000000000000/);
  assert.deepEqual(transform("twice", [{ n: 1 }], {}, {}, clock).rows, [{ n: 1 }, { n: 10 }]);
  const told = () => transform("length", [{ text: "a" }], { column: "text" }, {}, clock);
  assert.throws(told, /operator `length`: .*`clock.batchId` is near/);
});

const silent = () => new Keeper("silent", ["k"], { k: ms.utf8, at: ms.timestamp });

test("timers are exact, or refused", () => {
  const kept = silent();
  for (const at of [EXACT_MAX - 10n, EXACT_MAX - 8n, 2n ** 60n - 10n]) {
    kept.turn([{ k: "a", at }]);
    assert.equal(kept.timers['["a"]'], at + 10n);
    assert.equal(timeOf(Number(at + 10n)), at + 10n);
  }
  assert.throws(() => silent().turn([{ k: "a", at: EXACT_MAX - 9n }]), {
    message:
      "operator `silent`: row 0: a timer cannot be set to 9007199254740993: beyond 2^53 (the year 2255) this time is not exact as a number",
  });
});

test("the component gives timers as the numbers that they are", () => {
  const column = { validity: new Uint8Array(0), offsets: Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0), values: Uint8Array.of(97) };
  const at = 2n ** 60n;
  const times = { validity: new Uint8Array(0), offsets: new Uint8Array(0), values: new Uint8Array(BigInt64Array.of(at).buffer) };
  const key = { name: "k", dataType: "u", nullable: true };
  keyed.open("silent", "{}", [key], [key, { name: "at", dataType: "tsu:UTC", nullable: true }]);
  const turn = {
    keys: { rows: 1, columns: [column] },
    states: fromBytes([null]),
    rows: { rows: 1, columns: [column, times] },
    rowKeys: new Uint8Array(4),
    due: [],
  };
  const set = () => keyed.process({ batchId: 1, now: 0, watermark: null }, turn).timers;
  assert.throws(set, { message: `operator \`silent\`: row 0: a timer cannot be set to ${at + 10n}: beyond 2^53 (the year 2255) this time is not exact as a number` });
  times.values = new Uint8Array(BigInt64Array.of(2n ** 53n - 12n).buffer);
  assert.deepEqual(set(), [{ key: 0, at: 2 ** 53 - 2 }]);
});
