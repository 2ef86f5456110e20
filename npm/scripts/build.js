// Builds dist/: the compiled sources, and the wasm that scripts/build-wasm made, as a file for the
// runtimes that import it and as text for those that cannot.

import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const npm = new URL("../", import.meta.url);
const dist = new URL("dist/", npm);
const wasm = new URL("../target/edge/ferrite_bg.wasm", npm);

if (!existsSync(wasm)) {
  console.error("there is no target/edge/ferrite_bg.wasm yet: run scripts/build-wasm first");
  process.exit(1);
}
rmSync(dist, { recursive: true, force: true });
execFileSync("tsc", ["-p", "tsconfig.build.json"], { cwd: fileURLToPath(npm), stdio: "inherit" });
// Types that no public type leads to; they name what not every project's libraries know.
for (const name of ["instance", "response", "set-options", "text"]) {
  rmSync(new URL(`${name}.d.ts`, dist));
}

copyFileSync(wasm, new URL("ferrite.wasm", dist));
copyFileSync(new URL("src/ferrite.wasm.d.ts", npm), new URL("ferrite.wasm.d.ts", dist));
const base64 = readFileSync(wasm).toString("base64");
writeFileSync(new URL("inlined.js", dist), `export const base64 = "${base64}";\n`);
