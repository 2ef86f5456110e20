// One bundle for each subject and runtime, made as a consumer of the packed package makes it: with
// esbuild, by the package's own conditions. A bundle holds one subject only.

import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const here = fileURLToPath(new URL("./", import.meta.url));
export const out = `${root}target/bench-edge`;
const modules = `${out}/node_modules`;

/** Unpacks target/npm/ferrite-edge.tgz to where bundles find it. */
export function unpack() {
  const folder = `${modules}/@ferrite/edge`;
  rmSync(out, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const tarball = `${root}target/npm/ferrite-edge.tgz`;
  execFileSync("tar", ["-xzf", tarball, "-C", folder, "--strip-components=1"]);
}

const kinds = {
  script: {
    contents: (subject) => `import { serve } from "./subject.mjs"; serve(${subject});`,
    settings: { platform: "node" },
  },
  worker: {
    contents: (subject) => `import { workerOf } from "./worker.mjs";
      export default workerOf(${subject});`,
    settings: {
      conditions: ["workerd", "worker", "browser"],
      loader: { ".wasm": "copy" },
      assetNames: "[name]",
    },
  },
  // Nothing around it: what is timed is how it comes to be, of a package as it was installed and of
  // one that was made part of the program's own file.
  cold: {
    contents: (subject) => `export { ${subject} as subject };`,
    settings: { platform: "node", packages: "external" },
  },
  "cold-bundled": {
    contents: (subject) => `export { ${subject} as subject };`,
    settings: { platform: "node" },
  },
};

const made = new Map();

/** Bundles a subject, `{ from, name }`, for a kind of runtime. The path of the bundle. */
export async function bundle(kind, { from, name }) {
  const outfile = `${out}/${kind}/${from.replaceAll("/", "-").replace(".mjs", "")}-${name}.mjs`;
  if (made.has(outfile)) return outfile;
  const { contents, settings } = kinds[kind];
  await build({
    stdin: { contents: `import { ${name} } from "./${from}"; ${contents(name)}`, resolveDir: here },
    nodePaths: [modules], bundle: true, format: "esm", target: "es2022", outfile,
    logLevel: "error", ...settings,
  });
  made.set(outfile, true);
  return outfile;
}
