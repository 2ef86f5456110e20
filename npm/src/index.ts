// @ferrite/edge for Node and every runtime that compiles WebAssembly from bytes: the wasm is
// inlined, so that bundlers have no file to lose.

import { FerriteError } from "./error.js";
import { makeInit } from "./init.js";
import { base64 } from "./inlined.js";
import type { FerriteModule } from "./types.js";

export * from "./exports.js";

let module: Promise<FerriteModule> | undefined;

function compile(): Promise<FerriteModule> {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return WebAssembly.compile(bytes).catch((cause) => {
    throw new FerriteError("ERR this runtime does not compile WebAssembly from bytes: import "
      + "@ferrite/edge/ferrite.wasm and call initFerrite(module, options)", { cause });
  });
}

/** Makes a cache. The module is compiled once, however many caches there are. */
export const initFerrite = makeInit(() => module ??= compile());
export default initFerrite;
