/** What would be published is all that an installed kit needs, and no more. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const kit = join(dirname(fileURLToPath(import.meta.url)), "../..");
const root = join(kit, "../..");

/** The files of the package. It is made of a copy: packing puts files beside those that other tests use. */
async function packed(): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), "millstream-test-"));
  const copy = join(folder, "guest-sdk", "typescript");
  try {
    for (const one of ["wit", "LICENSE"]) await cp(join(root, one), join(folder, one), { recursive: true });
    for (const one of ["src", "package.json", "tsconfig.json", "build.mjs", "README.md"]) {
      await cp(join(kit, one), join(copy, one), { recursive: true });
    }
    await symlink(join(kit, "node_modules"), join(copy, "node_modules"));
    const { stdout } = await run("npm", ["pack", "--dry-run", "--json", "--foreground-scripts=false"], { cwd: copy });
    const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
    return files.map(({ path }) => path).sort();
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("the package has code, types, the contract, a read-me and the licence", async () => {
  const sources = (await readdir(join(kit, "src"), { recursive: true })).filter((file) => file.endsWith(".ts"));
  const made = sources.flatMap((file) => ["js", "d.ts"].map((end) => `dist/${file.slice(0, -2)}${end}`));
  const contract = (await readdir(join(root, "wit"))).map((file) => `wit/${file}`);
  const wanted = [...made, ...contract, "LICENSE", "README.md", "build.mjs", "package.json"];
  const files = await packed();
  assert.deepEqual(files, wanted.sort());
  const { main, types, bin, exports } = JSON.parse(await readFile(join(kit, "package.json"), "utf8"));
  const exported = Object.values(exports).flatMap((one) => (typeof one === "string" ? [one] : Object.values(one as object)));
  for (const path of [main, types, ...Object.values(bin), ...exported]) assert.ok(files.includes(path.replace("./", "")), path);
});
