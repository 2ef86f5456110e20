// @ferrite/edge/compressed: as index.ts, with the engine that can compress.

import { makeInit } from "./init.js";
import { load } from "./packed-compressed.js";

export * from "./exports.js";

/** Makes a cache. The module is compiled once, however many caches there are. */
export const initFerrite = makeInit(load);
export default initFerrite;
