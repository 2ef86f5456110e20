// Builds dist/: a bundle for each entry that package.json's "exports" names, with what they share
// in a chunk of its own, so that no class exists twice; their types; and the wasms that
// scripts/build-wasm made, as files for the runtimes that import them and as text for those that
// cannot. An entry for one runtime differs from that for another in one file, and from one with
// another wasm in a name: so there is one source for each class, and one for each runtime.

import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import {
  copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync,
} from "node:fs";
import { fileURLToPath } from "node:url";
import { deflateRawSync } from "node:zlib";

const npm = new URL("../", import.meta.url);
const dist = new URL("dist/", npm);
/** Each entry: its source, its wasm, and the folder where scripts/build-wasm made that. */
const builds = {
  index: { source: "index", file: "ferrite.wasm", folder: "edge" },
  compressed: { source: "index", file: "ferrite-compressed.wasm", folder: "edge-compressed" },
  lite: { source: "lite", file: "ferrite-lite.wasm", folder: "edge-lite" },
};
/**
 * Names of members that only the package's own code uses, where nothing else has them: made short,
 * since no bundler of a user may. Stacks still name them, by the source maps.
 */
const ownNames = new RegExp(`^(${[
  "argumentsMax", "complaint", "configuration", "countOf", "cross", "gather", "glance",
  "isLeft", "isTimed", "notFound", "ofEach", "partAt", "passed", "prepare",
  "putArgument", "putCall", "putCommand", "putCommands", "putKey", "putParts", "putValue",
  "putWord", "refresh", "refuseLength", "refuseToLend", "replyAt", "resets",
  "responses", "reused", "seenOnce", "setDeadlines", "sweep", "writes",
].join("|")})$`);
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

/** What an entry is made of: `lite-node` is `lite` with what Node needs in place of inlined.ts. */
function madeOf(entry) {
  const [, name = "index", runtime = "inlined"] =
    /^(index|compressed|lite)?-?(node|workerd|edge-light)?$/.exec(entry);
  return { ...builds[name], runtime };
}

const sourceOf = (name) => fileURLToPath(new URL(`src/${name}.ts`, npm));

/** Finds the sources of entries. They name the wasm as ferrite.wasm, whichever it is. */
const entrySources = {
  name: "entry sources",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^entry:/ }, ({ path }) => {
      const entry = path.slice("entry:".length);
      const { source, ...pluginData } = madeOf(entry);
      return { path: sourceOf(source), suffix: `?${entry}`, pluginData };
    });
    onResolve({ filter: /^\.\/inlined\.js$/ }, ({ pluginData: { runtime, file } }) => (
      { path: sourceOf(runtime), suffix: `?${file}`, pluginData: { file } }));
    onLoad({ filter: /src\/(index|lite|inlined|node|workerd|edge-light)\.ts$/ },
      ({ path, pluginData }) => ({
        contents: readFileSync(path, "utf8").replaceAll("ferrite.wasm", pluginData.file),
        loader: "ts", pluginData,
      }));
  },
};

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
for (const { file, folder } of Object.values(builds)) {
  const wasm = new URL(`../target/${folder}/ferrite_bg.wasm`, npm);
  if (!existsSync(wasm)) {
    console.error(`there is no target/${folder}/ferrite_bg.wasm yet: run scripts/build-wasm first`);
    process.exit(1);
  }
  copyFileSync(wasm, new URL(file, dist));
  copyFileSync(new URL("src/ferrite.wasm.d.ts", npm), new URL(`${file}.d.ts`, dist));
  // At this level of memory zlib ends its blocks where it suits wasm best, of all that there are.
  writeFileSync(deflated(file), deflateRawSync(readFileSync(wasm), { level: 9, memLevel: 7 }));
}

execFileSync("tsc", ["-p", "tsconfig.build.json"], { cwd: fileURLToPath(npm), stdio: "inherit" });
keepPublicTypes();
await build({
  absWorkingDir: fileURLToPath(npm),
  entryPoints: entries(".js").map((name) => ({ in: `entry:${name}`, out: name })),
  plugins: [entrySources],
  outdir: "dist",
  bundle: true,
  splitting: true,
  chunkNames: "shared-[hash]",
  format: "esm",
  target: "es2022",
  mangleProps: ownNames,
  loader: { ".deflate": "base64" },
  external: ["*.wasm", "*.wasm?module"],
  sourcemap: true,
  sourcesContent: false,
  logLevel: "warning",
});
for (const { file } of Object.values(builds)) rmSync(deflated(file));
