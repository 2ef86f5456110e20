// Builds dist/: a bundle for each entry that package.json's "exports" names, with what they share in
// a chunk of its own, so that no class exists twice; their types; and the wasm that
// scripts/build-wasm made, as a file for the runtimes that import it and as text for those that
// cannot.

import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import {
  copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync,
} from "node:fs";
import { fileURLToPath } from "node:url";
import { deflateRawSync } from "node:zlib";

const npm = new URL("../", import.meta.url);
const dist = new URL("dist/", npm);
/** What scripts/build-wasm made of each file. */
const wasms = { "ferrite.wasm": "edge", "ferrite-compressed.wasm": "edge-compressed" };
const deflated = (file) => new URL(`${file}.deflate`, dist);
const { exports } = JSON.parse(readFileSync(new URL("package.json", npm), "utf8"));

/** `index` for `./dist/index.js`, and so on: every file of that kind that `exports` leads to. */
function entries(suffix, branch = exports) {
  if (typeof branch !== "string") {
    return [...new Set(Object.values(branch).flatMap((inner) => entries(suffix, inner)))];
  }
  const isEntry = branch.startsWith("./dist/") && branch.endsWith(suffix);
  return isEntry ? [branch.slice("./dist/".length, -suffix.length)] : [];
}

/** Removes types that no public type leads to: they may name what not every project knows. */
function keepPublicTypes() {
  const kept = new Set();
  const visit = (url) => {
    if (kept.has(url.pathname) || !existsSync(url)) return;
    kept.add(url.pathname);
    const imports = /(?:from |import\()"(\.[^"]*)\.js"/g;
    for (const [, path] of readFileSync(url, "utf8").matchAll(imports)) {
      visit(new URL(`${path}.d.ts`, url));
    }
  };
  for (const name of entries(".d.ts")) visit(new URL(`${name}.d.ts`, dist));
  for (const file of readdirSync(dist, { recursive: true })) {
    const [, types] = /^(.*\.d\.ts)(\.map)?$/.exec(file) ?? [];
    if (types && !kept.has(new URL(types, dist).pathname)) rmSync(new URL(file, dist));
  }
}

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
for (const [file, folder] of Object.entries(wasms)) {
  const wasm = new URL(`../target/${folder}/ferrite_bg.wasm`, npm);
  if (!existsSync(wasm)) {
    console.error(`there is no target/${folder}/ferrite_bg.wasm yet: run scripts/build-wasm first`);
    process.exit(1);
  }
  copyFileSync(wasm, new URL(file, dist));
  copyFileSync(new URL(`src/${file}.d.ts`, npm), new URL(`${file}.d.ts`, dist));
  writeFileSync(deflated(file), deflateRawSync(readFileSync(wasm), { level: 9 }));
}

execFileSync("tsc", ["-p", "tsconfig.build.json"], { cwd: fileURLToPath(npm), stdio: "inherit" });
keepPublicTypes();
await build({
  absWorkingDir: fileURLToPath(npm),
  entryPoints: entries(".js").map((name) => `src/${name}.ts`),
  outdir: "dist",
  bundle: true,
  splitting: true,
  chunkNames: "shared-[hash]",
  format: "esm",
  target: "es2022",
  loader: { ".deflate": "base64" },
  external: ["*.wasm", "*.wasm?module"],
  sourcemap: true,
  sourcesContent: false,
  logLevel: "warning",
});
for (const file of Object.keys(wasms)) rmSync(deflated(file));
