/** What the read-me shows works. */

import assert from "node:assert/strict";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const kit = join(here, "../..");

test("the examples of the read-me work", async () => {
  const text = await readFile(join(kit, "README.md"), "utf8");
  const blocks = [...text.matchAll(/```ts\n(.*?)```/gs)].map(([, block]) => block);
  assert.equal(blocks.length, 4);
  const work = join(here, "readme");
  await mkdir(work, { recursive: true });
  try {
    const names = ["shop", "longest", "silent", "main"];
    await Promise.all(names.map((name, place) => writeFile(join(work, `${name}.ts`), blocks[place])));
    await writeFile(join(work, "all.ts"), `import "./main.js";\nimport "./longest.js";\nimport "./silent.js";\n`);
    const alias = { "millstream-plugin": join(kit, "dist/index.js"), "millstream-plugin/testing": join(kit, "dist/testing.js") };
    const outfile = join(work, "all.mjs");
    await build({ entryPoints: [join(work, "all.ts")], bundle: true, format: "esm", platform: "node", outfile, alias, logLevel: "silent" });
    // The last block has assertions of its own.
    await import(pathToFileURL(outfile).href);
  } finally {
    await rm(work, { recursive: true });
  }
});
