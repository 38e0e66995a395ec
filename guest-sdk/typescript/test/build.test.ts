/** Plugins become components, in TypeScript and in plain JavaScript. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const script = join(dirname(fileURLToPath(import.meta.url)), "../../build.mjs");

const OPERATOR = `
import * as ms from "millstream-plugin";
ms.describe("small", "0.1.0");
ms.transform("same", {
  summary: "The same.",
  open: (config, input) => ({ output: input, process: (batch, out) => out.keep(batch) }),
});
`;

async function built(file: string, source: string): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), "millstream-test-"));
  try {
    await writeFile(join(folder, file), source);
    await run(process.execPath, [script, join(folder, file), "-o", join(folder, "out", "small.wasm")]);
    return await readFile(join(folder, "out", "small.wasm"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("a plugin in JavaScript becomes a component", async () => {
  const component = await built("small.js", OPERATOR);
  // The magic of WebAssembly, and the version that says component.
  assert.deepEqual([...component.subarray(0, 8)], [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]);
});

test("a plugin in TypeScript becomes a component", async () => {
  const typed = OPERATOR.replace("(batch, out)", "(batch: ms.Batch, out: ms.Output)");
  assert.ok((await built("small.ts", typed)).length > 1_000_000);
});

test("a file without a plugin is told", async () => {
  await assert.rejects(built("small.ts", "export {};"), /has no plugin: call describe, and transform, aggregate or keyed/);
  await assert.rejects(run(process.execPath, [script, "none.ts"]), /there is no file none.ts/);
});
