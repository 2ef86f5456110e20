// The methods on keys that api.test.ts does not have, in Redis's answers.

import { initFerrite, type FerriteCache } from "@ferrite/edge";
import { beforeEach, describe, expect, it } from "vitest";
import { noKey, plain, refused } from "./support.js";

let now = 0;
let cache: FerriteCache;
beforeEach(async () => {
  now = 1_700_000_000_000;
  cache = await initFerrite({ clock: { now: () => now } });
});

describe("keys", () => {
  it("are touched and unlinked", () => {
    cache.mset({ a: 1, b: 2, c: 3 });
    expect([cache.touch("a", "a", "none"), cache.touch(["a", null, "b"]), cache.touch(null)])
      .toEqual([2, 2, 0]);
    expect([cache.unlink("a", "none"), cache.unlink(["b", "c"]), cache.dbsize()])
      .toEqual([1, 2, 0]);
    refused(() => cache.touch(), "ERR wrong number of arguments for 'touch' command");
    refused(() => cache.unlink(), "ERR wrong number of arguments for 'unlink' command");
    refused(() => cache.unlink(plain(null)), noKey);
  });

  it("tell when they expire", () => {
    cache.set("k", "v", { pxat: now + 1500 });
    cache.set("stays", "v");
    expect([cache.pexpiretime("k"), cache.expiretime("k")]).toEqual([now + 1500, 1_700_000_002]);
    for (const ask of [cache.expiretime, cache.pexpiretime]) {
      expect(["stays", "none", null, undefined].map((key) => ask.call(cache, key)))
        .toEqual([-1, -2, -2, -2]);
    }
  });

  it("are drawn at random", () => {
    expect(cache.randomkey()).toBe(null);
    cache.mset({ a: 1, b: 2 });
    const drawn = new Set(Array.from({ length: 100 }, () => cache.randomkey()));
    expect([...drawn].sort()).toEqual(["a", "b"]);
    cache.pexpire("a", 1);
    now += 2;
    expect(cache.randomkey()).toBe("b");
  });

  it("are copied with their expiry", () => {
    cache.set("a", "1", { ex: 10 });
    expect([cache.copy("a", "b"), cache.get("b"), cache.ttl("b")]).toEqual([1, "1", 10]);
    cache.set("a", "2");
    expect([cache.copy("a", "b"), cache.get("b")]).toEqual([0, "1"]);
    expect([cache.copy("a", "b", { replace: false }), cache.get("b")]).toEqual([0, "1"]);
    expect([cache.copy("a", "b", { replace: true }), cache.get("b"), cache.ttl("b")])
      .toEqual([1, "2", -1]);
    expect(cache.copy("none", "b", { replace: true })).toBe(0);
    refused(() => cache.copy("a", "a"), "ERR source and destination objects are the same");
    refused(() => cache.copy("a", "b", plain({ force: true })),
      /^ERR syntax error in option "\w+" of '\w+'$/);
    refused(() => cache.copy("a", "b", plain("replace")),
      "ERR the options of 'copy' must be an object, not String");
  });

  it("are renamed with their expiry", () => {
    cache.set("a", "1", { ex: 10 });
    cache.set("b", "2");
    expect([cache.rename("a", "b"), cache.get("b"), cache.ttl("b"), cache.exists("a")])
      .toEqual(["OK", "1", 10, 0]);
    cache.set("a", "3");
    expect([cache.renamenx("a", "b"), cache.renamenx("a", "c"), cache.get("b"), cache.get("c")])
      .toEqual([0, 1, "1", "3"]);
    refused(() => cache.rename("none", "b"), "ERR no such key");
    refused(() => cache.renamenx("none", "b"), "ERR no such key");
    expect(cache.get("b")).toBe("1");
  });

  it("tell how their values are stored", () => {
    cache.mset({ number: 5, short: "x", long: "x".repeat(100) });
    expect(["number", "short", "long", "none", null].map((key) => cache.object("encoding", key)))
      .toEqual(["int", "embstr", "raw", null, null]);
    expect([cache.object("REFCOUNT", "short"), cache.object("refcount", null)]).toEqual([1, null]);
    expect([cache.object("freq", "none"), cache.object("FREQ", undefined)]).toEqual([null, null]);
    expect(["short", "none"].map((key) => cache.object("idletime", key))).toEqual([0, null]);
    refused(() => cache.object("freq", "short"), /^ERR An LFU maxmemory policy is not selected/);
    refused(() => cache.object(plain("size"), "short"), /^ERR unknown subcommand/i);
  });

  it("tell how often they were used where the policy counts that", async () => {
    const counting = await initFerrite({ evictionPolicy: "allkeys-lfu" });
    counting.set("k", "v");
    expect(counting.object("FREQ", "k")).toBeGreaterThan(0);
  });
});
