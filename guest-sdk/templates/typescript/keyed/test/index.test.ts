/** The operator natively. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { timestamp, utf8 } from "millstream-plugin";
import { Keeper } from "millstream-plugin/testing";

import "../src/index.js";

test("a key is told once it was silent", () => {
  const keeper = new Keeper("silent", ["user"], { user: utf8, at: timestamp }, { time: "at", after_ms: 1 });
  keeper.turn([
    { user: "ann", at: 0n },
    { user: "bob", at: 100n },
    { user: "ann", at: 500n },
  ]);
  assert.deepEqual(keeper.advance(1_200n).rows, [{ user: "bob", since: 100n }]);
  assert.deepEqual(keeper.advance(1_500n).rows, [{ user: "ann", since: 500n }]);
  assert.deepEqual(keeper.states, {});
});
