// The methods on strings that api.test.ts does not have, in Redis's answers.

import { initFerrite, type FerriteCache } from "@ferrite/edge";
import { beforeEach, describe, expect, it } from "vitest";
import { noValue, plain, refused } from "./support.js";

let now = 0;
let cache: FerriteCache;
beforeEach(async () => {
  now = 1_700_000_000_000;
  cache = await initFerrite({ clock: { now: () => now } });
});

describe("GETEX", () => {
  it("reads, and changes the expiry", () => {
    cache.set("k", "v");
    expect([cache.getex("k"), cache.pttl("k")]).toEqual(["v", -1]);
    expect([cache.getex("k", { ex: 10 }), cache.pttl("k")]).toEqual(["v", 10_000]);
    expect([cache.getex("k", { px: 77 }), cache.pttl("k")]).toEqual(["v", 77]);
    expect([cache.getex("k", {}), cache.pttl("k")]).toEqual(["v", 77]);
    expect([cache.getex("k", { exat: 1_700_000_020 }), cache.pttl("k")]).toEqual(["v", 20_000]);
    expect([cache.getex("k", { pxat: now + 5 }), cache.pttl("k")]).toEqual(["v", 5]);
    expect([cache.getex("k", { persist: true }), cache.pttl("k")]).toEqual(["v", -1]);
    expect(["none", null, undefined].map((key) => cache.getex(key, { ex: 10 })))
      .toEqual([null, null, null]);
  });

  it.each([{ ex: 1, px: 1 }, { ex: 1, persist: true }, { ttl: 5 }, { keepTtl: true }, 60, null])(
    "refuses %j", (options) => {
      cache.set("k", "v");
      refused(() => cache.getex("k", plain(options)),
        /^ERR (syntax error( in option "\w+" of 'getex')?|the options of 'getex' must be .*)$/);
      expect(cache.pttl("k")).toBe(-1);
    });

  it.each([1.5, NaN, Infinity, "soon"])("refuses to expire in %s", (ex) => {
    cache.set("k", "v");
    refused(() => cache.getex("k", plain({ ex })), "ERR value is not an integer or out of range");
    refused(() => cache.getex("k", { ex: 0 }), "ERR invalid expire time in 'getex' command");
  });
});

describe("strings", () => {
  it("are read and dropped, or replaced", () => {
    cache.set("k", "v", { ex: 10 });
    expect([cache.getset("k", "w"), cache.ttl("k"), cache.getset("new", 1)])
      .toEqual(["v", -1, null]);
    expect([cache.getdel("k"), cache.getdel("k"), cache.getdel(null), cache.exists("k")])
      .toEqual(["w", null, null, 0]);
  });

  it("are set in Redis's older ways", () => {
    expect([cache.setnx("k", "v"), cache.setnx("k", "w"), cache.get("k")]).toEqual([1, 0, "v"]);
    expect([cache.setex("k", 10, "x"), cache.pttl("k")]).toEqual(["OK", 10_000]);
    expect([cache.psetex("k", 77, 5), cache.pttl("k"), cache.get("k")]).toEqual(["OK", 77, "5"]);
    refused(() => cache.setex("k", 0, "y"), "ERR invalid expire time in 'setex' command");
    refused(() => cache.psetex("k", -1, "y"), "ERR invalid expire time in 'psetex' command");
    refused(() => cache.setex("k", 1.5, "y"),
      "ERR value is not an integer or out of range in option \"ex\" of 'setex'");
    refused(() => cache.setnx("k", plain(null)), noValue);
    expect(cache.get("k")).toBe("5");
  });

  it("are set together, if none is there", () => {
    expect([cache.msetnx({ a: 1, b: "2" }), cache.msetnx(new Map([["b", 3], ["c", 3]]))])
      .toEqual([1, 0]);
    expect(cache.mget("a", "b", "c")).toEqual(["1", "2", null]);
    refused(() => cache.msetnx([]), "ERR wrong number of arguments for 'msetnx' command");
  });

  it.each([
    [[["a"], ["b"]]], [[["a", "1", "b"]]], [["ab"]], ["ab"], [null], [undefined], [5], [[1, 2]],
    [new Uint8Array(2)],
  ])("are not set by what is no pair: %j", (pairs) => {
    refused(() => cache.mset(plain(pairs)), /^ERR names and values come as an object or as pairs/);
    refused(() => cache.msetnx(plain(pairs)), /^ERR names and values come as an object or as pa/);
    expect(cache.dbsize()).toBe(0);
  });

  it("may have any names in an object", () => {
    const pairs = JSON.parse('{"__proto__": "a", "constructor": "b", "0": "c"}');
    expect([cache.mset(pairs), cache.mget("__proto__", "constructor", "0")])
      .toEqual(["OK", ["a", "b", "c"]]);
  });

  it("are read and written in part", () => {
    cache.set("k", "Hello World");
    expect([cache.getrange("k", 0, 4), cache.getrange("k", -5, -1), cache.substr("k", 4, 6)])
      .toEqual(["Hello", "World", "o W"]);
    expect([cache.getrange("k", 5, 3), cache.getrange("k", 0, 99), cache.getrange("none", 0, 1),
      cache.getrange(null, 0, 1), cache.substr(undefined, 0, 1)])
      .toEqual(["", "Hello World", "", "", ""]);
    expect([cache.setrange("k", 6, "Redis"), cache.get("k")]).toEqual([11, "Hello Redis"]);
    expect([cache.setrange("new", 2, "x"), cache.get("new")]).toEqual([3, "\0\0x"]);
    expect([cache.setrange("none", 5, ""), cache.exists("none")]).toEqual([0, 0]);
    refused(() => cache.setrange("k", -1, "x"), "ERR offset is out of range");
    refused(() => cache.getrange("k", 0.5, 1), "ERR value is not an integer or out of range");
  });

  it("count with decimals", () => {
    expect([cache.incrbyfloat("n", 10.5), cache.incrbyfloat("n", "0.1")]).toEqual([10.5, 10.6]);
    expect(cache.get("n")).toBe("10.6");
    expect([cache.incrbyfloat("n", -10.6), cache.incrbyfloat("n", 5e3), cache.incrbyfloat("n", 0)])
      .toEqual([0, 5000, 5000]);
    refused(() => cache.incrbyfloat("n", NaN), "ERR value is not a valid float");
    refused(() => cache.incrbyfloat("n", Infinity),
      "ERR increment would produce NaN or Infinity");
    cache.set("text", "x");
    refused(() => cache.incrbyfloat("text", 1), "ERR value is not a valid float");
    expect(cache.get("n")).toBe("5000");
  });
});
