// What the tarball holds besides programs: types for every way of resolving, and source maps.

import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { consumer, root } from "./consumer.js";
import { output } from "./process.js";

const compiler = join(root, "node_modules/typescript/bin/tsc");

it.each([
  ["nodenext", ["esm.mts", "cjs.cts"]],
  ["node20", ["esm.mts", "cjs.cts"]],
  ["esnext", ["esm.mts"]],
  ["preserve", ["esm.mts", "cjs.cts"]],
])("the types are found under --module %s, without those of a browser", async (module, files) => {
  const words = [compiler, "--noEmit", "--strict", "--target", "es2022", "--lib", "es2022",
    "--module", module, ...module === "esnext" ? ["--moduleResolution", "bundler"] : [],
    ...files.map((file) => join("types", file))];
  const run = promisify(execFile)(process.execPath, words, { cwd: consumer });
  const { stdout } = await run.catch((error: { stdout: string }) => error);
  expect(stdout).toBe("");
});

it("source maps lead to the sources that are packed", async () => {
  const program = `
    const { initFerrite } = require("@ferrite/edge");
    initFerrite().then((cache) => cache.lpush("list")).catch((error) => console.log(error.stack));
  `;
  const words = ["--enable-source-maps", "-e", program];
  const stack = await output(process.execPath, words, { cwd: consumer });
  expect(stack).toMatch(/^FerriteError: ERR wrong number of arguments/);
  expect(stack).toMatch(/FerriteCache\.lpush .*@ferrite\/edge\/src\/commands\/lists\.ts:\d+/);
});
