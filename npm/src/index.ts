// @ferrite/edge for Deno, Bun, browsers and every other runtime that compiles WebAssembly
// from bytes: the wasm is inlined, so that bundlers have no file to lose.

import base64 from "../dist/ferrite.wasm.deflate";
import { inlined } from "./compile.js";
import { makeInit } from "./init.js";

export * from "./exports.js";

/** Makes a cache. The module is compiled once, however many caches there are. */
export const initFerrite = makeInit(inlined(base64));
export default initFerrite;
