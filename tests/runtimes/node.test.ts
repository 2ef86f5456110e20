// Node, where the package reads its wasm from a file and its seed from the kernel: that it does,
// and that it does without.

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { consumer, nodes } from "./consumer.js";
import { output } from "./process.js";

const program = (entry: string) => `
  import { initFerrite } from "${entry}";
  const cache = await initFerrite(process.argv.length > 2 ? { compression: true } : {});
  cache.set("key", "value");
  console.log(cache.get("key"));
`;

/** A project whose installed package was changed. */
function changed(name: string, change: (dist: string) => void): string {
  const folder = join(consumer, "..", `node-${name}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  cpSync(join(consumer, "node_modules"), join(folder, "node_modules"), { recursive: true });
  change(join(folder, "node_modules/@ferrite/edge/dist"));
  writeFileSync(join(folder, "main.mjs"), program("@ferrite/edge"));
  writeFileSync(join(folder, "lite.mjs"), program("@ferrite/edge/lite"));
  return folder;
}

const intact = changed("intact", () => {});
const files = ["ferrite.wasm", "ferrite-lite.wasm"];
const without = changed("without", (dist) => files.forEach((file) => rmSync(join(dist, file))));
const torn = changed("torn", (dist) => {
  for (const file of files.map((name) => join(dist, name))) {
    writeFileSync(file, readFileSync(file).subarray(0, 20_000));
  }
});
const exchanged = changed("exchanged", (dist) => {
  cpSync(join(dist, "ferrite-compressed.wasm"), join(dist, "ferrite.wasm"));
});

const mistaken = changed("mistaken", (dist) => {
  const [main, lite] = files.map((file) => readFileSync(join(dist, file)));
  writeFileSync(join(dist, files[0]!), lite!);
  writeFileSync(join(dist, files[1]!), main!);
});

describe.each(nodes)("Node $version", ({ path, version }) => {
  const run = (cwd: string, ...words: string[]) => output(path, words, { cwd });

  it.each([["intact", intact], ["without its file", without], ["with half of its file", torn]])(
    "%s", async (_, folder) => {
      for (const file of ["main.mjs", "lite.mjs"]) expect(await run(folder, file)).toBe("value\n");
    });

  it("refuses a file of the other entry's", async () => {
    await expect(run(mistaken, "main.mjs")).rejects.toThrow(/is that of @ferrite\/edge\/lite/);
    await expect(run(mistaken, "lite.mjs")).rejects.toThrow(/is that of @ferrite\/edge, and this/);
  });

  // Only the other engine can compress: nothing but the file can have brought it.
  it("takes the wasm from the file", async () => {
    expect(await run(exchanged, "main.mjs", "compression")).toBe("value\n");
    await expect(run(intact, "main.mjs", "compression")).rejects.toThrow(/compression/);
  });

  it("denied every file but the project's", async () => {
    const [major, minor] = version.split(".").map((part) => Number(part.replace("v", "")));
    const isStable = major! > 22 || (major === 22 && minor! >= 13);
    const flags = [isStable ? "--permission" : "--experimental-permission", "--no-warnings",
      `--allow-fs-read=${join(intact, "*")}`];
    for (const file of ["main.mjs", "lite.mjs"]) {
      expect(await run(intact, ...flags, file)).toBe("value\n");
    }
  });
});
