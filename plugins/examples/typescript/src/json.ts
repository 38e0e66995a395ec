/** JSON whose numbers keep their text: `JSON.parse` makes floats of them, which are exact up to 2^53 only. */

import { Reject } from "millstream-plugin";

/** A number as it is written. */
export class NumberText {
  constructor(readonly text: string) {}
}

/** A document. */
export type Json = null | boolean | string | number | NumberText | Json[] | { [key: string]: Json };

// Strings come first, so that what looks like a number inside of one is none.
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Reads a document. */
export function readJson(text: string): Json {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Reject(error instanceof SyntaxError ? "not JSON" : "nested too deeply");
  }
}

/** Reads a document that has been read before, now with all numbers as `NumberText`. */
export function readExactly(text: string): Json {
  const numbers: string[] = [];
  // Each number becomes its place in the list of all.
  const numbered = text.replace(TOKENS, (token) => {
    if (token.startsWith('"')) return token;
    return String(numbers.push(token) - 1);
  });
  return JSON.parse(numbered, (_, value) => (typeof value === "number" ? new NumberText(numbers[value]) : value));
}
