// @ferrite/edge for workerd, which compiles modules when a Worker is uploaded and never later.

import module from "./ferrite.wasm";
import { makeInit } from "./init.js";

export * from "./exports.js";

/** Makes a cache. */
export const initFerrite = makeInit(() => module);
export default initFerrite;
