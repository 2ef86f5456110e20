// The built package, tested in Node and inside workerd: the same files but for what needs a file
// system (*.node.test.ts) or is about Workers (*.workerd.test.ts).

import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const root = import.meta.dirname;

/** The package under its own name, as the runtime's condition would resolve it. */
function entry(name: string) {
  const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  const other = (which: string) => ({
    find: new RegExp(`^@ferrite/edge/${which}$`),
    replacement: file(`./dist/${name === "index" ? which : `${which}-${name}`}.js`),
  });
  return [
    { find: /^@ferrite\/edge$/, replacement: file(`./dist/${name}.js`) },
    other("compressed"),
    other("lite"),
    { find: /^@ferrite\/edge\/(.*\.wasm)$/, replacement: file("./dist/$1") },
  ];
}

export default defineConfig({
  test: {
    projects: [
      {
        root,
        resolve: { alias: entry("index") },
        test: {
          name: "node",
          include: ["test/*.test.ts"],
          exclude: ["test/*.workerd.test.ts"],
          testTimeout: 120_000,
        },
      },
      {
        root,
        resolve: { alias: entry("workerd") },
        plugins: [
          cloudflareTest({
            miniflare: {
              compatibilityDate: "2026-08-04",
              compatibilityFlags: ["nodejs_compat"],
              // As wrangler has it: an imported .wasm is a compiled module.
              modulesRules: [{ type: "CompiledWasm", include: ["**/*.wasm"] }],
            },
          }),
        ],
        test: {
          name: "workerd",
          include: ["test/*.test.ts"],
          exclude: ["test/*.node.test.ts"],
          testTimeout: 120_000,
        },
      },
    ],
  },
});
