// @ferrite/edge/lite: what it has not, and that all it has is there. Its transcripts, its budget
// and its global scope are tested beside those of the main entry.

import { FerriteError, initFerrite as initFull, type FerriteCache } from "@ferrite/edge";
import initByDefault, * as lite from "@ferrite/edge/lite";
import { initFerrite, type LiteCache } from "@ferrite/edge/lite";
import { describe, expect, it } from "vitest";
import { awkwardNames, destroy, plain, refused, rejected } from "./support.js";

/** The names of a cache's public methods. */
function methodsOf(cache: object): string[] {
  const names = new Set<string>();
  let at: object = cache;
  while ((at = Object.getPrototypeOf(at) as object) !== Object.prototype) {
    for (const name of Object.getOwnPropertyNames(at)) names.add(name);
  }
  return [...names];
}

/** Whether an engine has a command of this name, whatever it says to having no arguments. */
function knows(cache: LiteCache, name: string): boolean {
  try {
    cache.call(name);
  } catch (error) {
    return !/^ERR unknown command/.test((error as FerriteError).message);
  }
  return true;
}

describe("the lite entry", () => {
  it("offers what the main one does, and the same errors", () => {
    expect(Object.keys(lite).sort()).toEqual(["FerriteError", "default", "initFerrite"]);
    expect(initByDefault).toBe(initFerrite);
    expect(lite.FerriteError).toBe(FerriteError);
  });

  it("has exactly the methods whose commands its engine has", async () => {
    const [cache, full] = [await initFerrite(), await initFull()];
    const own = methodsOf(cache);
    const all = methodsOf(full).filter((name) => knows(full, name) && /^[a-z]+$/.test(name));
    expect(all.length).toBeGreaterThan(100);
    expect(all.filter((name) => own.includes(name) !== knows(cache, name))).toEqual([]);
    expect(own).toEqual(expect.arrayContaining(["get", "mset", "scanIterator", "putResponse"]));
    for (const name of ["hset", "lpush", "sadd", "zadd", "copy", "append", "hscanIterator"]) {
      expect(own).not.toContain(name);
    }
  });

  it("answers other commands as Redis answers what it does not know", async () => {
    const cache = await initFerrite();
    refused(() => cache.call("hset", "h", "f", "v"),
      "ERR unknown command 'hset', with args beginning with: 'h' 'f' 'v' ");
    refused(() => cache.multi([["set", "k", "v"], ["lpush", "l", "a"]]),
      "EXECABORT Transaction discarded because of previous errors.", "EXECABORT");
    expect(cache.dbsize()).toBe(0);
  });

  it("keeps values, counts, expires, evicts and looks around", async () => {
    let now = 1_700_000_000_000;
    const cache = await initFerrite({ maxMemory: "2mb", clock: { now: () => now } });
    cache.setJson("user", { name: "Zo\u00eb" }, { ex: 60 });
    expect([cache.getJson("user"), cache.ttl("user")]).toEqual([{ name: "Zo\u00eb" }, 60]);
    expect([cache.incrby("n", 41), cache.decr("n"), cache.strlen("n")]).toEqual([41, 40, 2]);
    expect(cache.multi([["incr", "n"], ["get", "n"]])).toEqual([41, "41"]);
    expect([...cache.scanIterator({ match: "u*" })]).toEqual(["user"]);
    expect(cache.withBytes("n", (bytes) => bytes.length)).toBe(2);
    await cache.putResponse("page", new Response("body", { headers: { "X-Kept": "yes" } }));
    expect(cache.getResponse("page")?.headers.get("X-Kept")).toBe("yes");
    now += 60_001;
    expect([cache.tick(), cache.exists("user")]).toEqual([1, 0]);
    for (let number = 0; number < 5000; number++) cache.set(`key:${number}`, "v".repeat(1000));
    const { used_memory: used, evicted_keys: evicted, keys } = cache.stats();
    expect(used).toBeLessThanOrEqual(2 << 20);
    expect([evicted > 3000, keys > 1000]).toEqual([true, true]);
  });

  it("is what a function takes that takes either", async () => {
    const visit = (cache: LiteCache) => cache.incr("visits");
    const full: FerriteCache = await initFull();
    expect([visit(full), visit(await initFerrite())]).toEqual([1, 1]);
  });

  it.each(["allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random",
    "volatile-ttl"] as const)("evicts by %s", async (evictionPolicy) => {
    const cache = await initFerrite({ maxMemory: "1mb", evictionPolicy });
    for (let number = 0; number < 3000; number++) {
      cache.set(`key:${number}`, "v".repeat(1000), { ex: 1000 + number });
    }
    expect(cache.stats().evicted_keys).toBeGreaterThan(1500);
  });

  it("has no policy that learns, and says so", async () => {
    const error = await rejected(initFerrite({ evictionPolicy: plain("allkeys-s3fifo") }));
    expect(error.message).toMatch(/^ERR evictionPolicy "allkeys-s3fifo": argument\(s\) must be/);
    expect(error.message).not.toMatch(/gdsf/);
  });

  it("cannot compress", async () => {
    const error = await rejected(initFerrite({ compression: plain(true) }));
    expect(error.message)
      .toBe("ERR compression true: only @ferrite/edge/compressed has compression");
  });
});

describe("hostile input to the lite entry", () => {
  it("is refused, and changes nothing", async () => {
    const cache = await initFerrite();
    cache.set("k", "v");
    for (const wrong of [null, undefined, true, {}, [], Symbol("k"), () => 1, new Date(0)]) {
      expect(() => cache.set(plain(wrong), "v"), String(wrong)).toThrow(FerriteError);
      expect(() => cache.set("k", plain(wrong)), String(wrong)).toThrow(FerriteError);
      expect(() => cache.getset("k", plain(wrong)), String(wrong)).toThrow(FerriteError);
      expect(() => cache.expire(plain(wrong), 10), String(wrong)).toThrow(FerriteError);
    }
    for (const long of ["k".repeat(8001), "k".repeat(512 << 10), new Uint8Array(8001)]) {
      refused(() => cache.set(long, "v"), /^ERR (too much for one call|.*key.*)/);
    }
    refused(() => cache.set("half \ud83d", "v"), /^ERR text with half a surrogate pair/);
    refused(() => cache.set("k", "v", plain({ ttl: 1 })),
      /^ERR syntax error in option "\w+" of '\w+'$/);
    refused(() => cache.set("k", new Uint8Array(40 << 20)), /^OOM /, "OOM");
    expect([cache.keys(), cache.get("k"), cache.stats().instance_resets]).toEqual([["k"], "v", 0]);
  });

  it("may be keys of any name", async () => {
    const cache = await initFerrite();
    for (const name of awkwardNames) cache.set(name, `value of ${name}`);
    for (const name of awkwardNames) expect(cache.get(name)).toBe(`value of ${name}`);
    expect(cache.dbsize()).toBe(awkwardNames.length);
  });

  it("that destroys its memory costs what it holds, and no more", async () => {
    const cache = await initFerrite({ maxMemory: "2mb" });
    cache.set("k", "before");
    destroy(cache);
    expect(() => cache.get("k")).toThrow(/^RESET/);
    expect([cache.get("k"), cache.set("k", "after"), cache.get("k")])
      .toEqual([null, "OK", "after"]);
    expect(cache.stats()).toMatchObject({ instance_resets: 1, maxmemory: 2 << 20, keys: 1 });
  });
});
