/** Between bytes and strings, in the way that a component goes and in that of Node. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { asciiBytes, decode, isAscii, latin1, toBytes, utf8Of } from "../src/text.js";

const utf8 = (text: string) => new TextEncoder().encode(text);
const TEXTS = ["", "a", "to be or not", "é", "a".repeat(100), `${"a".repeat(99)}é`, `é${"a".repeat(100)}`, "日本語 🦀".repeat(30)];

test("text comes back from bytes", () => {
  for (const text of TEXTS) {
    assert.equal(decode(utf8(text)), text);
    assert.deepEqual(toBytes(utf8Of(text)), utf8(text));
    assert.equal(latin1(utf8(text)), utf8Of(text));
  }
});

test("one byte that is not ASCII is found wherever it is", () => {
  for (let length = 0; length < 40; length++) {
    for (let offset = 0; offset < 5; offset++) {
      const bytes = new Uint8Array(length + offset).fill(127).subarray(offset);
      assert.equal(isAscii(bytes), true);
      for (let place = 0; place < length; place++) {
        bytes[place] = 128;
        assert.equal(isAscii(bytes), false, `${place} of ${length}`);
        bytes[place] = 127;
      }
    }
  }
});

test("ASCII text is its bytes, and other text is not", () => {
  for (const text of TEXTS) {
    const isSame = utf8(text).length === text.length;
    assert.deepEqual(asciiBytes(text), isSame ? utf8(text) : null);
  }
});
