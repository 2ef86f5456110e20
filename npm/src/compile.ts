// Compiles a wasm that is inlined in the bundle, once, however many caches there are.

import { FerriteError } from "./error.js";
import { inflate } from "./inflate.js";
import type { FerriteModule } from "./types.js";

/** A loader for `makeInit`. What fails is tried again the next time. */
export function inlined(base64: string): () => Promise<FerriteModule> {
  let module: Promise<FerriteModule> | undefined;
  return () => module ??= compile(base64).catch((error) => {
    module = undefined;
    throw error;
  });
}

async function compile(base64: string): Promise<FerriteModule> {
  if (typeof WebAssembly === "undefined") {
    throw new FerriteError("ERR this runtime has no WebAssembly");
  }
  const bytes = await inflate(base64);
  return WebAssembly.compile(bytes).catch((cause) => {
    throw new FerriteError("ERR this runtime does not compile WebAssembly from bytes: import "
      + "@ferrite/edge/ferrite.wasm and call initFerrite(module, options)", { cause });
  });
}
