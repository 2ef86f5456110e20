// What must compile and what must not, against the package as published: with no library but the
// language's own, so that no public type leans on the DOM's.

import initFerrite, {
  FerriteError, initFerrite as named,
  type Command, type FerriteCache, type FerriteCacheInstance, type FerriteModule,
  type FerriteStats, type Pairs, type Reply,
} from "@ferrite/edge";
import liteModule from "@ferrite/edge/ferrite-lite.wasm";
import module from "@ferrite/edge/ferrite.wasm";
import { initFerrite as initLite, type LiteCache } from "@ferrite/edge/lite";

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

  const length = cache.withBytes("k", (shown) => shown.length);
  same<typeof length, number | null>();
  const parsed = cache.withBytes("k", (): any => null);
  void parsed;
  cache.withBytes("k", () => { throw new Error("always"); });

  const replies = cache.multi([["incr", "a"], ["hget", "h", "f"], ["lrange", "l", 0, -1],
    ["ping"], ["set", "k", new Uint8Array()]]);
  same<typeof replies, [
    number | FerriteError, string | null | FerriteError, string[] | FerriteError,
    Reply | FerriteError, string | null | FerriteError,
  ]>();
  const list: Command[] = [["incr", "a"]];
  const several = cache.multi(list);
  same<typeof several, (Reply | FerriteError)[]>();

  const done = cache.set("k", "v", { ex: 1, nx: true });
  same<typeof done, "OK" | null>();
  const old = cache.set("k", 1, { get: true, px: 1 });
  same<typeof old, string | null>();
  cache.set("k", 1n, { keepTtl: true, xx: true });
  const isKept: boolean = Math.random() < 0.5;
  cache.set("k", 1, { keepTtl: isKept, nx: isKept });
  await cache.putResponse("k", cache.getResponse("k")!, { keepTtl: isKept });
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

interface User { name: string }

export function familiesCompile(cache: FerriteCache, pairs: Pairs, names: readonly string[]): void {
  const user = cache.getJson<User>("k");
  same<typeof user, User | null>();
  const something = cache.getJson(null);
  same<typeof something, unknown>();
  const kept = cache.setJson<User>("k", { name: "n" }, { ex: 1, nx: true });
  same<typeof kept, "OK" | null>();

  cache.getex("k", { ex: 1 });
  cache.getex("k", { persist: true });
  cache.getex("k", { persist: names.length > 0 });
  const any = cache.hrandfield("h", 2, { withValues: names.length > 0 });
  same<typeof any, string[] | [string, string][]>();
  cache.getex(null);
  cache.mset(pairs);
  cache.mset(names.map((name) => [name, 1]));
  cache.msetnx({ a: 1 });
  const sum = cache.incrbyfloat("k", "0.1");
  same<typeof sum, number>();
  cache.copy("a", "b", { replace: true });
  const encoding = cache.object("encoding", "k");
  same<typeof encoding, string | null>();
  const uses = cache.object("FREQ", "k");
  same<typeof uses, number | null>();

  cache.hset("h", "a", 1);
  cache.hset("h", { a: 1, b: "2" });
  cache.hset("h", new Map([["a", new Uint8Array()]]));
  cache.hset("h", names.map((name) => [name, 1]));
  cache.hset("h", pairs);
  const record = cache.hgetall("h");
  same<typeof record, Record<string, string> | null>();
  const found = cache.hmget("h", names);
  same<typeof found, (string | null)[]>();
  const [one, some, more] = [cache.hrandfield("h"), cache.hrandfield("h", 2),
    cache.hrandfield("h", 2, { withValues: true })] as const;
  same<[typeof one, typeof some, typeof more], [string | null, string[], [string, string][]]>();
  const fields = new Map(cache.hscanIterator("h", { match: "*" }));
  same<typeof fields, Map<string, string>>();
  cache.hexpire("h", ["a", "b"], 10, "NX");
  const left = cache.httl("h", "a");
  same<typeof left, number[]>();

  cache.rpush("l", "a", 1, new Uint8Array());
  cache.rpush("l", names);
  const [first, firsts] = [cache.lpop("l"), cache.rpop("l", 2)] as const;
  same<[typeof first, typeof firsts], [string | null, string[] | null]>();
  const [at, places] = [cache.lpos("l", "a", { rank: 2 }), cache.lpos("l", "a", { count: 0 })] as
    const;
  same<[typeof at, typeof places], [number | null, number[]]>();
  const taken = cache.lmpop(names, "left", { count: 2 });
  same<typeof taken, [string, string[]] | null>();
  cache.lmove("a", "b", "LEFT", "RIGHT");
  cache.linsert("l", "BEFORE", "a", 1);

  const [member, members] = [cache.spop("s"), cache.srandmember("s", -2)] as const;
  same<[typeof member, typeof members], [string | null, string[]]>();
  const common = cache.sinter(names);
  same<typeof common, string[]>();
  cache.sintercard("s", { limit: 1 });
  const all = new Set(cache.sscanIterator("s"));
  same<typeof all, Set<string>>();
}

export function familiesDoNotCompile(cache: FerriteCache): void {
  // @ts-expect-error two changes of the expiry
  cache.getex("k", { ex: 1, px: 1 });
  // @ts-expect-error two changes of the expiry
  cache.getex("k", { exat: 1, persist: true });
  // @ts-expect-error of GETEX there is no such option
  cache.getex("k", { keepTtl: true });
  // @ts-expect-error the old value is text, not a T
  cache.setJson("k", 1, { get: true });
  // @ts-expect-error two ways to expire
  cache.setJson("k", 1, { ex: 1, px: 1 });
  // @ts-expect-error no pairs
  cache.mset(["a", "1"]);
  // @ts-expect-error a value is not missing
  cache.hset("h", { a: null });
  // @ts-expect-error a field without a value
  cache.hset("h", "a");
  // @ts-expect-error a record is fetched, not written
  cache.hgetall<{ a: number }>("h");
  // @ts-expect-error values of how many
  cache.hrandfield("h", { withValues: true });
  // @ts-expect-error fields have no types of their own
  cache.hscan("h", 0, { type: "string" });
  // @ts-expect-error one condition
  cache.hexpire("h", "a", 10, "NX", "GT");
  // @ts-expect-error no such end
  cache.lmove("a", "b", "TOP", "LEFT");
  // @ts-expect-error no such place
  cache.linsert("l", "BESIDE", "a", "b");
  // @ts-expect-error no such option
  cache.lpos("l", "a", { start: 1 });
  // @ts-expect-error a member is not missing
  cache.sadd("s", null);
  // @ts-expect-error no such option
  cache.sintercard(["s"], { count: 1 });
  // @ts-expect-error nothing of that kind is told
  cache.object("size", "k");
  // @ts-expect-error a write needs a key
  cache.lpush(null, "a");
}

export async function doesNotCompile(cache: FerriteCache): Promise<void> {
  // @ts-expect-error what is shown is gone before a promise is kept
  cache.withBytes("k", async (shown) => shown.length);
  // @ts-expect-error the same
  cache.withBytes("k", (shown) => shown.length > 0 ? Promise.resolve(1) : 2);
  // @ts-expect-error a command is an array
  cache.multi(["incr", "a"]);
  // @ts-expect-error a command has a name
  cache.multi([[]]);
  // @ts-expect-error an argument is not missing
  cache.multi([["set", "k", null]]);
  // @ts-expect-error the old value is no part of the answer
  await cache.putResponse("k", cache.getResponse("k")!, { get: true });
  // @ts-expect-error two ways to expire
  await cache.putResponse("k", cache.getResponse("k")!, { ex: 1, px: 1 });
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

/** What takes a lite cache takes any. */
export async function liteCompiles(full: FerriteCache): Promise<void> {
  const lite = await initLite({ maxMemory: "2mb", evictionPolicy: "allkeys-lfu" });
  same<typeof lite, LiteCache>();
  await initLite(liteModule);
  const visit = (cache: LiteCache) => cache.incr("visits");
  visit(lite);
  visit(full);
  const value = lite.set("k", "v", { ex: 1, get: true });
  same<typeof value, string | null>();
  lite.mget("a", null);
  await lite.putResponse("k", lite.getResponse("k")!, { ex: 1 });
  for (const key of lite.scanIterator({ match: "*" })) lite.del(key);
}

export function liteDoesNotCompile(lite: LiteCache): void {
  // @ts-expect-error no policy that learns
  void initLite({ evictionPolicy: "allkeys-s3fifo" });
  // @ts-expect-error no compression
  void initLite({ compression: true });
  // @ts-expect-error there are no hashes
  lite.hset("h", "f", "v");
  // @ts-expect-error there are no lists
  lite.lpush("l", "a");
  // @ts-expect-error there are no sets
  lite.sadd("s", "a");
  // @ts-expect-error nor any command that is rarely asked for
  lite.append("k", "v");
  // @ts-expect-error values are not copied
  lite.copy("a", "b");
  // @ts-expect-error it has not what the other promises
  const full: FerriteCache = lite;
  void full;
}
