// Makes dist/index.mjs, the one file to upload: no node_modules, the wasm inside.
//   REDIRECTS=https://your.site/redirects.json node build.js [FILE]

import { build } from "esbuild";

const { REDIRECTS = "http://127.0.0.1:8790/redirects.json" } = process.env;
const [outfile = "dist/index.mjs"] = process.argv.slice(2);

await build({
  absWorkingDir: import.meta.dirname,
  entryPoints: ["src/index.ts"],
  outfile,
  bundle: true,
  minify: true,
  platform: "node",
  target: "node20",
  format: "esm",
  define: { REDIRECTS: JSON.stringify(REDIRECTS) },
  logLevel: "warning",
});
