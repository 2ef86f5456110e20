// @ferrite/edge/compressed for Vercel's edge runtime: as edge-light.ts, with the engine that can
// compress.

import module from "./ferrite-compressed.wasm?module";
import { makeInit } from "./init.js";

export * from "./exports.js";

/** Makes a cache. */
export const initFerrite = makeInit(() => module);
export default initFerrite;
