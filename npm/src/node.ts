// @ferrite/edge for Node, where the wasm is a file beside this one: see file.ts.

import { fromFile, kernelSeed } from "./file.js";
import { makeInit } from "./init.js";

export * from "./exports.js";

const load = fromFile(
  () => new URL("ferrite.wasm", import.meta.url), () => import("../dist/ferrite.wasm.deflate"),
);

/** Makes a cache. The module is compiled once, however many caches there are. */
export const initFerrite = makeInit(load, kernelSeed);
export default initFerrite;
