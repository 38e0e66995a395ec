/** The operator natively. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { boolean, utf8 } from "millstream-plugin";
import { aggregate } from "millstream-plugin/testing";

import "../src/index.js";

test("shares of several batches are merged", () => {
  const batches = [
    [
      { shop: "a", late: true },
      { shop: "b", late: null },
    ],
    [{ shop: "a", late: false }],
  ];
  const ran = aggregate("share", batches, ["shop"], { column: "late" }, { shop: utf8, late: boolean });
  assert.deepEqual(ran.rows, [
    { shop: "a", share: 0.5 },
    { shop: "b", share: null },
  ]);
});
