// A project that uses the package as anybody would: npm installs the packed tarball in it. What the
// runtimes run is made there, once before all tests.

import { build, type BuildOptions } from "esbuild";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync }
  from "node:fs";
import { basename, delimiter, join } from "node:path";

const here = import.meta.dirname;
export const root = join(here, "../..");
/** The project. */
export const consumer = join(root, "target/runtimes/consumer");
const tarball = join(root, "target/npm/ferrite-edge.tgz");

export default async function setup(): Promise<void> {
  rmSync(consumer, { recursive: true, force: true });
  mkdirSync(consumer, { recursive: true });
  const manifest = { name: "consumer", private: true, type: "module" };
  writeFileSync(join(consumer, "package.json"), JSON.stringify(manifest));
  installIn(consumer);
  cpSync(join(here, "entries"), consumer, { recursive: true });
  await bundle({ format: "esm", outfile: join(consumer, "suite.js") });
  await bundle({ format: "cjs", outfile: join(consumer, "suite.cjs") });
}

/** npm needs no registry for it: the package has no dependencies. */
export function installIn(folder: string): void {
  const words = ["install", "--offline", "--no-audit", "--no-fund", "--loglevel=error", tarball];
  execFileSync("npm", words, { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
}

/** The suite, which has its transcripts inside, and still imports the package by its name. */
async function bundle(options: BuildOptions): Promise<void> {
  const folder = join(root, "tests/vectors");
  const files = readdirSync(folder).filter((name) => name.endsWith(".txt"));
  const texts = files.map((name) => [name, readFileSync(join(folder, name), "utf8")]);
  const transcripts = JSON.stringify(Object.fromEntries(texts));
  await build({
    entryPoints: [join(here, "suite.ts")],
    bundle: true,
    external: ["@ferrite/edge", "@ferrite/edge/*"],
    target: "es2022",
    logLevel: "warning",
    plugins: [{
      name: "transcripts",
      setup({ onResolve, onLoad }) {
        onResolve({ filter: /^\.\/transcripts\.json$/ }, () => (
          { path: "transcripts", namespace: "transcripts" }));
        onLoad({ filter: /./, namespace: "transcripts" }, () => (
          { contents: transcripts, loader: "json" }));
      },
    }],
    ...options,
  });
}

/** A program on the PATH, but for the tools of this repository where `outside`; null if none. */
export function find(program: string, outside = false): string | null {
  const folders = (process.env.PATH ?? "").split(delimiter)
    .filter((folder) => !outside || basename(folder) !== ".bin");
  const paths = folders.map((folder) => join(folder, program));
  return paths.find((path) => existsSync(path)) ?? null;
}

const paths = [
  join(root, "node_modules/.bin/node"),
  find("node", true),
  join(process.env.FERRITE_NODE_20 ?? root, "node_modules/node/bin/node"),
];
const versions = paths.filter((path) => path !== null && existsSync(path)).map((path) => (
  [execFileSync(path!, ["--version"], { encoding: "utf8" }).trim(), path!] as const));

/** Node 22, as npm ci installed it, the machine's own, and Node 20; each version once. */
export const nodes = [...new Map(versions)].map(([version, path]) => ({ version, path }));
