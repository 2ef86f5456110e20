// What must compile and what must not, against the package as published: with no library but the
// language's own, so that no public type leans on the DOM's.

import initFerrite, {
  FerriteError, initFerrite as named,
  type FerriteCache, type FerriteCacheInstance, type FerriteModule, type FerriteStats,
} from "@ferrite/edge";
import module from "@ferrite/edge/ferrite.wasm";

/** Fails to compile unless both are the same type. */
function same<A, B>(..._: (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2)
  ? [] : [never]): void {}

interface Empty {}
declare const likeWebAssemblyModule: Empty;

export async function compiles(): Promise<void> {
  const cache: FerriteCacheInstance = await initFerrite();
  same<FerriteCache, FerriteCacheInstance>();
  await named({ maxMemory: 1 << 20, evictionPolicy: "volatile-ttl", clock: { now: () => 0 } });
  await named(module, { maxMemory: "64mb" });
  await named(likeWebAssemblyModule);
  const given: FerriteModule = module;
  await named(given);

  const value = cache.get("k");
  same<typeof value, string | null>();
  const bytes = cache.getBytes(new Uint8Array());
  same<typeof bytes, Uint8Array<ArrayBuffer> | null>();
  cache.get(null);
  cache.get(undefined);

  const done = cache.set("k", "v", { ex: 1, nx: true });
  same<typeof done, "OK" | null>();
  const old = cache.set("k", 1, { get: true, px: 1 });
  same<typeof old, string | null>();
  cache.set("k", 1n, { keepTtl: true, xx: true });
  cache.set("k", new ArrayBuffer(1), { exat: 1 });
  cache.set("k", new Uint8Array(), { pxat: 1, get: false });

  const count = cache.incr("k");
  same<typeof count, number>();
  const many = cache.mget("a", null, "b");
  same<typeof many, (string | null)[]>();
  cache.mget(["a", undefined]);
  cache.expire("k", 1, "NX");
  const scanned = cache.scan("0", { match: "*", count: 5 });
  same<typeof scanned, [string, string[]]>();
  const stats = cache.stats();
  same<typeof stats, FerriteStats>();
  const error: Error & { code: string } = new FerriteError("ERR x");
  void error;
}

export async function doesNotCompile(cache: FerriteCache): Promise<void> {
  // @ts-expect-error two ways to expire
  cache.set("k", "v", { ex: 1, px: 1 });
  // @ts-expect-error two ways to expire
  cache.set("k", "v", { ex: 1, keepTtl: true });
  // @ts-expect-error two ways to expire
  cache.set("k", "v", { exat: 1, pxat: 1 });
  // @ts-expect-error both conditions
  cache.set("k", "v", { nx: true, xx: true });
  // @ts-expect-error no such option: Redis's seconds are `ex`
  cache.set("k", "v", { ttl: 1 });
  // @ts-expect-error a number, not text
  cache.set("k", "v", { ex: "1" });
  // @ts-expect-error a value is not missing
  cache.set("k", null);
  // @ts-expect-error a value is not an object
  cache.set("k", { a: 1 });
  // @ts-expect-error a write needs a key
  cache.set(null, "v");
  // @ts-expect-error no such condition
  cache.expire("k", 1, "ALWAYS");
  // @ts-expect-error no such option
  cache.scan("0", { limit: 5 });
  // @ts-expect-error no such option
  await initFerrite({ maxMemmory: "1mb" });
  // @ts-expect-error no such option
  await initFerrite(module, { maxMemmory: "1mb" });
  // @ts-expect-error no such policy
  await initFerrite({ evictionPolicy: "lru" });
  // @ts-expect-error the class is made by initFerrite
  new FerriteCache();
}
