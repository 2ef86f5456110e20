// @ferrite/edge, and @ferrite/edge/compressed: the build (scripts/build.js) makes both of this
// file, and puts what another runtime needs in place of inlined.ts.

import { FerriteCache } from "./cache.js";
import { makeInit } from "./init.js";
import { load, seed } from "./inlined.js";

export type { FerriteCache, FerriteCache as FerriteCacheInstance } from "./cache.js";
export type { MemberScanOptions } from "./commands/hashes.js";
export type { ListEnd, LposOptions } from "./commands/lists.js";
export type { CopyOptions } from "./commands/more.js";
export * from "./exports.js";

/** Makes a cache. The module is compiled once, however many caches there are. */
export const initFerrite = /* @__PURE__ */ makeInit(FerriteCache, load, seed);
export default initFerrite;
