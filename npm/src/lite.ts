// @ferrite/edge/lite: strings and keys alone, in half the bytes. As index.ts in all else.

import { makeInit, type InitFerrite } from "./init.js";
import { load, seed } from "./inlined.js";
import { LiteCache } from "./lite-cache.js";
import type { LiteOptions } from "./types.js";

export * from "./exports.js";

/** Makes a cache. The module is compiled once, however many caches there are. */
export const initFerrite: InitFerrite<LiteCache, LiteOptions> =
  /* @__PURE__ */ makeInit(LiteCache, load, seed);
export default initFerrite;
