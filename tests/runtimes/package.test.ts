// What the tarball holds besides programs: types for every way of resolving, and source maps.

import { execFile } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { build as esbuild } from "esbuild";
import { build as vite } from "vite";
import { describe, expect, it } from "vitest";
import { consumer, root } from "./consumer.js";
import { output } from "./process.js";
import { needs } from "./support.js";

const compilerIn = (folder: string) => join(folder, "node_modules/typescript/bin/tsc");
const oldCompiler = compilerIn(process.env.FERRITE_OLD_TYPESCRIPT ?? "");

/** What a compiler finds wrong, in the package's types as well; without types of a runtime. */
async function faults(compiler: string, module: string, files: string[], lib = "es2022") {
  const words = [compiler, "--noEmit", "--strict", "--target", "es2022", "--lib", lib,
    "--typeRoots", "types",
    "--module", module, ...module === "esnext" ? ["--moduleResolution", "bundler"] : [],
    ...files.map((file) => join("types", file))];
  const run = promisify(execFile)(process.execPath, words, { cwd: consumer });
  return (await run.catch((error: { stdout: string }) => error)).stdout;
}

it.each([
  ["nodenext", ["esm.mts", "cjs.cts"]],
  ["node20", ["esm.mts", "cjs.cts"]],
  ["esnext", ["esm.mts"]],
  ["preserve", ["esm.mts", "cjs.cts"]],
])("the types are found under --module %s, without those of a browser", async (module, files) => {
  expect(await faults(compilerIn(root), module, files)).toBe("");
});

needs("an old TypeScript, which reads the types", existsSync(oldCompiler), async () => {
  for (const [module, lib] of [["nodenext", "es2022"], ["esnext", "es2022,dom"]] as const) {
    expect(await faults(oldCompiler, module, ["esm.mts"], lib)).toBe("");
  }
});

describe("a bundle", () => {
  const bundlers: Record<string, (entry: string) => Promise<string>> = {
    async esbuild(contents) {
      const { outputFiles: [file] } = await esbuild({
        stdin: { contents, resolveDir: consumer }, bundle: true, minify: true, format: "esm",
        write: false, logLevel: "error",
      });
      return file!.text;
    },
    async Vite(contents) {
      writeFileSync(join(consumer, "unused.js"), contents);
      const built = await vite({
        root: consumer, configFile: false, logLevel: "warn",
        build: { write: false, lib: { entry: "unused.js", formats: ["es"] } },
      }) as { output: { code: string }[] }[];
      return built[0]!.output.map(({ code }) => code).join("");
    },
  };
  it.each(Object.entries(bundlers))("of %s has nothing that is not used", async (_, bundle) => {
    for (const entry of ["@ferrite/edge", "@ferrite/edge/lite", "@ferrite/edge/compressed"]) {
      for (const unused of ["import {} from", "import { initFerrite } from", "import"]) {
        const text = await bundle(`${unused} "${entry}";\nconsole.log("alone");`);
        expect(text).toContain("alone");
        expect(text.length, `${unused} ${entry}`).toBeLessThan(100);
      }
      // The error is no reason to carry the wasm.
      const error = `import { FerriteError } from "${entry}"; console.log(FerriteError);`;
      expect((await bundle(error)).length, entry).toBeLessThan(24_000);
    }
  });
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
