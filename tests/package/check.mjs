// Checks the packed package from outside: node check.mjs TARBALL. What is in it, that every source
// map leads to a source, and what a user of a bundler ships.
// Not here: its types and exports, which publint and attw judge (scripts/check).

import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative, resolve } from "node:path";
import { gzipSync } from "node:zlib";

// What gzip -9 may leave. The aim for a bundler's user is 40 KiB (40,960 bytes), wasm included, which
// is missed since the wasm alone is larger: these are what is reached, and a little. GET and SET
// that are compiled for speed are 2.6 kB of it (ARCHITECTURE.md, "What the wasm weighs").
const budgets = {
  "a bundle, wasm included": 78_100,
  "a Worker: its script and the wasm": 76_900,
  "lite: a bundle, wasm included": 37_500,
  "lite: a Worker: its script and the wasm": 36_500,
};
/** Sources of which nothing may be in a bundle of the lite entry. */
const collections = /src\/(cache|commands\/(hashes|lists|more|sets))\.ts$/;

const faults = [];
const folder = mkdtempSync(join(tmpdir(), "ferrite-package-"));
try {
  const installed = join(folder, "node_modules/@ferrite/edge");
  mkdirSync(installed, { recursive: true });
  execFileSync("tar", ["-xzf", process.argv[2], "-C", installed, "--strip-components=1"]);
  const files = readdirSync(installed, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(installed, join(entry.parentPath, entry.name)));
  checkContents(installed, files);
  checkSourceMaps(installed, files);
  await checkSizes(installed);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const fault of faults) console.error(`package: ${fault}`);
process.exitCode = faults.length > 0 ? 1 : 0;

/** Every file is one that is known to belong there, and none of those is missing. */
function checkContents(installed, files) {
  const { exports } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  const named = leaves(exports).map((path) => path.slice("./".length));
  const required = ["LICENSE", "README.md", "package.json", ...named];
  for (const file of required) if (!files.includes(file)) faults.push(`${file} is missing`);
  const sources = execFileSync("git", ["ls-files", "."], {
    cwd: resolve(import.meta.dirname, "../../npm/src"), encoding: "utf8",
  }).trim().split("\n").map((path) => `src/${path}`);
  for (const source of sources) if (!files.includes(source)) faults.push(`${source} is missing`);
  for (const file of files) {
    if (required.includes(file) || sources.includes(file)) continue;
    // A chunk that entries share, a map beside its script, and types beside their source.
    const isShared = /^dist\/shared-\w+\.js$/.test(file);
    const isMap = file.endsWith(".js.map") && files.includes(file.slice(0, -".map".length));
    const isTypes = file.startsWith("dist/") && file.endsWith(".d.ts")
      && files.includes(file.replace(/^dist/, "src").replace(/\.d\.ts$/, ".ts"));
    if (!isShared && !isMap && !isTypes) faults.push(`${file} was not expected`);
  }
}

function leaves(branch) {
  return typeof branch === "string" ? [branch] : Object.values(branch).flatMap(leaves);
}

function checkSourceMaps(installed, files) {
  for (const file of files.filter((name) => name.endsWith(".js"))) {
    const map = `${file}.map`;
    const text = readFileSync(join(installed, file), "utf8").trimEnd();
    if (!text.endsWith(`//# sourceMappingURL=${basename(map)}`) || !files.includes(map)) {
      faults.push(`${file} has no source map`);
      continue;
    }
    const { sources } = JSON.parse(readFileSync(join(installed, map), "utf8"));
    const scripts = sources.filter((source) => /\.[jt]s$/.test(source));
    // Chunks with nothing but the wasm as text, or names that are handed on, have none.
    const isChunk = file.startsWith("dist/shared-");
    if (scripts.length === 0 && !isChunk) faults.push(`${map} names no source`);
    for (const source of scripts) {
      const path = join(dirname(map), source);
      if (!files.includes(path)) faults.push(`${map} leads to ${path}, which is not in the package`);
    }
  }
}

/** No file of a lite bundle is made of a source that has a collection's methods. */
function checkInputs(inputs) {
  const files = Object.keys(inputs).filter((file) => inputs[file].bytesInOutput > 0);
  const sources = files.filter((file) => file.endsWith(".js")).flatMap((file) => (
    JSON.parse(readFileSync(join(folder, `${file}.map`), "utf8")).sources));
  for (const source of sources.filter((name) => collections.test(name))) {
    faults.push(`a bundle of the lite entry has ${source} in it`);
  }
  if (!sources.some((name) => name.endsWith("lite-cache.ts"))) faults.push("no source was found");
}

async function checkSizes(installed) {
  const bundleOf = async (entry, conditions) => {
    const { outputFiles, metafile } = await build({
      stdin: { contents: `export { initFerrite } from "${entry}";`, resolveDir: folder },
      absWorkingDir: folder, bundle: true, minify: true, format: "esm", write: false,
      metafile: true, external: ["*.wasm"], conditions,
    });
    const [{ inputs }] = Object.values(metafile.outputs);
    if (entry.endsWith("/lite")) checkInputs(inputs);
    return outputFiles[0].contents;
  };
  const wasmOf = (file) => readFileSync(join(installed, "dist", file));
  const [full, lite] = ["@ferrite/edge", "@ferrite/edge/lite"];
  const shipped = {
    "a bundle, wasm included": [await bundleOf(full, [])],
    "a Worker: its script and the wasm": [await bundleOf(full, ["workerd"]), wasmOf("ferrite.wasm")],
    "lite: a bundle, wasm included": [await bundleOf(lite, [])],
    "lite: a Worker: its script and the wasm":
      [await bundleOf(lite, ["workerd"]), wasmOf("ferrite-lite.wasm")],
  };
  for (const [name, parts] of Object.entries(shipped)) {
    const bytes = parts.reduce((sum, part) => sum + gzipSync(part, { level: 9 }).length, 0);
    console.log(`${name.padEnd(40)} ${bytes} bytes after gzip -9, at most ${budgets[name]}`);
    if (bytes > budgets[name]) faults.push(`${name}: ${bytes} bytes are more than ${budgets[name]}`);
  }
}
