// @ferrite/edge/lite: strings and keys alone, in half the bytes. As index.ts in all else.

import { makeInit } from "./init.js";
import { load, seed } from "./inlined.js";
import { LiteCache } from "./lite-cache.js";

export * from "./exports.js";

/** Makes a cache. The module is compiled once, however many caches there are. */
export const initFerrite = makeInit(LiteCache, load, seed);
export default initFerrite;
