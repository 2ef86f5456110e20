// @ferrite/edge/compressed: as index.ts, with the engine that can compress.

import base64 from "../dist/ferrite-compressed.wasm.deflate";
import { inlined } from "./compile.js";
import { makeInit } from "./init.js";

export * from "./exports.js";

/** Makes a cache. The module is compiled once, however many caches there are. */
export const initFerrite = makeInit(inlined(base64));
export default initFerrite;
