// @ferrite/edge/compressed for Node: as node.ts, with the engine that can compress.

import { fromFile, kernelSeed } from "./file.js";
import { makeInit } from "./init.js";

export * from "./exports.js";

const load = fromFile(
  () => new URL("ferrite-compressed.wasm", import.meta.url),
  () => import("../dist/ferrite-compressed.wasm.deflate"),
);

/** Makes a cache. The module is compiled once, however many caches there are. */
export const initFerrite = makeInit(load, kernelSeed);
export default initFerrite;
