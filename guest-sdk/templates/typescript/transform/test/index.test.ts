/** The operator natively. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { transform } from "millstream-plugin/testing";

import "../src/index.js";

test("prices are converted, nulls stay and what is below zero is rejected", () => {
  const rows = [{ price: 2 }, { price: -1 }, { price: null }];
  const ran = transform("convert", rows, { column: "price", rate: 3 });
  assert.deepEqual(ran.rows, [
    { price: 2, converted: 6 },
    { price: null, converted: null },
  ]);
  assert.deepEqual(ran.rejected, [{ row: 1, reason: "the price is -1" }]);
});
