// @ferrite/edge for Vercel's edge runtime, which compiles modules when a function is deployed: the
// query asks its bundlers for the compiled module rather than for its exports.

import module from "./ferrite.wasm?module";
import { makeInit } from "./init.js";

export * from "./exports.js";

/** Makes a cache. */
export const initFerrite = makeInit(() => module);
export default initFerrite;
