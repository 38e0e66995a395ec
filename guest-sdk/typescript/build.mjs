#!/usr/bin/env node
// Makes the component: `millstream-ts plugin.ts -o plugin.wasm`. TypeScript and JavaScript alike.

import { access, cp, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { componentize } from "componentize-qjs";
import { build as bundle } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));

/** The plugin and the kit in one file, each module of the kit once. */
const options = {
  bundle: true,
  format: "esm",
  target: "es2022",
  logLevel: "silent",
  alias: {
    "millstream-plugin": join(here, "dist/index.js"),
    "millstream-plugin/component": join(here, "dist/component.js"),
  },
};

/** Compiles the plugin of a file. */
export async function build(entry, output) {
  const work = await mkdtemp(join(tmpdir(), "millstream-"));
  try {
    const { name, kinds } = await look(entry, work);
    if (!name || kinds.length === 0) {
      throw new Error(`${entry} has no plugin: call describe, and transform, aggregate or keyed`);
    }
    const main = join(work, "main.js");
    await writeFile(
      main,
      `import * as host from "millstream:plugin/host@0.1.0";\n` +
        `import { start } from "millstream-plugin/component";\n` +
        `import ${JSON.stringify(resolve(entry))};\n` +
        `start(host);\n` +
        `export { catalog, ${kinds.join(", ")} } from "millstream-plugin/component";\n`,
    );
    const bundled = await bundle({ ...options, entryPoints: [main], external: ["millstream:*"], write: false });
    const wit = join(work, "wit");
    await cp(await witFolder(), wit, { recursive: true });
    const includes = kinds.map((kind) => `include ${kind}-plugin;`).join(" ");
    await writeFile(join(wit, "app.wit"), `package millstream:plugin@0.1.0;\nworld app { ${includes} }\n`);
    const jsSource = bundled.outputFiles[0].text;
    // Without `sync` the host would have to know asynchronous components; with WASI stubbed the component traps.
    const { component } = await componentize({ witPath: wit, jsSource, world: "app", sync: true, stubWasi: false });
    await mkdir(dirname(resolve(output)), { recursive: true });
    await writeFile(output, component);
  } finally {
    await rm(work, { recursive: true });
  }
}

/** What the plugin registers: its module is run here, once. */
async function look(entry, work) {
  await access(entry).catch(() => {
    throw new Error(`there is no file ${entry}`);
  });
  const source = join(work, "look.js");
  const outfile = join(work, "look.mjs");
  await writeFile(
    source,
    `import ${JSON.stringify(resolve(entry))};\nexport { kinds, plugin } from "millstream-plugin/component";\n`,
  );
  await bundle({ ...options, entryPoints: [source], outfile });
  const { kinds, plugin } = await import(pathToFileURL(outfile).href);
  return { name: plugin.name, kinds: kinds() };
}

/** The contract: in the installed package, or at the root of the project's checkout. */
async function witFolder() {
  const inside = join(here, "wit");
  return access(inside).then(() => inside, () => join(here, "../../wit"));
}

async function isMain() {
  return process.argv[1] !== undefined && (await realpath(process.argv[1])) === fileURLToPath(import.meta.url);
}

if (await isMain()) {
  const [entry, flag, output, ...rest] = process.argv.slice(2);
  if (!entry || (flag && flag !== "-o") || (flag && !output) || rest.length > 0) {
    console.error("usage: millstream-ts PLUGIN.ts [-o PLUGIN.wasm]");
    process.exit(2);
  }
  build(entry, output ?? entry.replace(/\.[cm]?[jt]s$/, ".wasm")).catch((error) => {
    console.error(`error: ${error.message}`);
    process.exit(1);
  });
}
