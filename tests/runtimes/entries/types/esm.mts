// Compiled, never run: what a project of ES modules may write.
import initFerrite, { FerriteError, type FerriteCache, type SetOptions } from "@ferrite/edge";
import initLite, { type LiteCache } from "@ferrite/edge/lite";
import lite from "@ferrite/edge/ferrite-lite.wasm";
import module from "@ferrite/edge/ferrite.wasm";

const options: SetOptions = { ex: 60 };
const cache: FerriteCache = await initFerrite(module, { maxMemory: "2mb" });
export const value: string | null = cache.set("key", "value", options) && cache.get("key");
export const bytes: Uint8Array | null = cache.getBytes("key");
export const length = cache.withBytes("key", (shown) => shown.length + 1);
export const either: LiteCache[] = [cache, await initLite(lite, { maxMemory: "2mb" })];
export const error: Error = new FerriteError("ERR", { cause: value });
// @ts-expect-error: one that would compile with any type
export const wrong: number = cache.get("key");
