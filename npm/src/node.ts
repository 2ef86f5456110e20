// In place of inlined.ts for Node. What that has at hand while it starts is files: the wasm is read
// from the one that is installed, beside this one, and the seed of the hash from the kernel's. To
// inflate the wasm and to load Node's crypto would take longer than all else together.
// Invariant: without these files everything is as elsewhere. A bundle has lost the first, or its
// place; Windows does not have the second; a process may be denied both, and an old Node the way.

import { inlined } from "./compile.js";
import { webSeed, type Seed } from "./init.js";
import type { FerriteModule } from "./types.js";

/** The part of `node:fs` that is used. To import it would load all of Node's streams. */
interface Files {
  readFileSync(place: URL): Uint8Array<ArrayBuffer>;
  openSync(path: string, flags: "r"): number;
  readSync(file: number, into: ArrayBufferView): number;
  closeSync(file: number): void;
}

declare const process: { platform: string; getBuiltinModule(name: "node:fs"): Files };

let module: FerriteModule | undefined;

/** The module in its file, or else the one that a chunk carries. */
export async function load(): Promise<FerriteModule> {
  return module ??= compileFile() ?? await inlined(await packed())();
}

function compileFile(): FerriteModule | undefined {
  try {
    const place = new URL("ferrite.wasm", import.meta.url);
    return new WebAssembly.Module(process.getBuiltinModule("node:fs").readFileSync(place));
  } catch {
    // If it is not for want of the file, the other way fails as well, and says why.
    return undefined;
  }
}

async function packed(): Promise<string> {
  return (await import("../dist/ferrite.wasm.deflate")).default;
}

/** Two random words from the kernel. */
export const seed: Seed = () => {
  try {
    // Elsewhere anybody may make a file of this name.
    if (process.platform !== "win32") return wordsOf("/dev/urandom");
  } catch {
    // Not there, or not for this process.
  }
  return webSeed();
};

function wordsOf(path: string): Uint32Array {
  const { openSync, readSync, closeSync } = process.getBuiltinModule("node:fs");
  const file = openSync(path, "r");
  try {
    const words = new Uint32Array(2);
    if (readSync(file, words) < words.byteLength) throw new Error(`${path} ended`);
    return words;
  } finally {
    closeSync(file);
  }
}
