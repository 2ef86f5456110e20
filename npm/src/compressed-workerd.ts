// @ferrite/edge/compressed for workerd: as workerd.ts, with the engine that can compress.

import module from "./ferrite-compressed.wasm";
import { makeInit } from "./init.js";

export * from "./exports.js";

/** Makes a cache. */
export const initFerrite = makeInit(() => module);
export default initFerrite;
