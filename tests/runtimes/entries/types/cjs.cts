// Compiled, never run: what a CommonJS project may write.
import { FerriteError, initFerrite, type FerriteCache } from "@ferrite/edge";
import ferrite = require("@ferrite/edge");

export const starting: Promise<FerriteCache> = initFerrite({ maxMemory: "2mb" });
export const same: typeof initFerrite = ferrite.default;
export const error: Error = new FerriteError("ERR");
// @ts-expect-error: one that would compile with any type
export const wrong: number = ferrite.initFerrite;
