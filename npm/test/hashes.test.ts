// The methods on hashes, in Redis's answers.

import { initFerrite, type FerriteCache } from "@ferrite/edge";
import { beforeEach, describe, expect, it } from "vitest";
import { awkwardNames, noKey, noValue, plain, refused, wrongType } from "./support.js";

let now = 0;
let cache: FerriteCache;
beforeEach(async () => {
  now = 1_700_000_000_000;
  cache = await initFerrite({ clock: { now: () => now } });
});

const missing = ["none", null, undefined];

describe("fields", () => {
  it("are set one by one, as an object, and as pairs", () => {
    expect([cache.hset("h", "a", "1"), cache.hset("h", { a: 2, b: 3n, c: "x" })]).toEqual([1, 2]);
    expect(cache.hset("h", new Map([["c", "y"], ["d", "z"]]))).toBe(1);
    expect(cache.hset("h", [["e", new Uint8Array([65])], [new Uint8Array([102]), 1.5]])).toBe(2);
    expect(cache.hset("h", Object.entries({ g: "" }))).toBe(1);
    expect(cache.hgetall("h"))
      .toEqual({ a: "2", b: "3", c: "y", d: "z", e: "A", f: "1.5", g: "" });
    expect([cache.hmset("h", { a: "1" }), cache.hmset("h", [["a", "0"]]), cache.hget("h", "a")])
      .toEqual(["OK", "OK", "0"]);
    expect([cache.hsetnx("h", "a", "9"), cache.hsetnx("h", "new", "9"), cache.hget("h", "new")])
      .toEqual([0, 1, "9"]);
  });

  it("are not set by what names none", () => {
    const pairs = /^ERR names and values come as an object or as pairs/;
    refused(() => cache.hset("h", {}), "ERR wrong number of arguments for 'hset' command");
    refused(() => cache.hmset("h", []), "ERR wrong number of arguments for 'hmset' command");
    for (const wrong of [null, undefined, "a", 5, [["a"]], [["a", "1", "b"]], [1, 2]]) {
      refused(() => cache.hset("h", plain(wrong)), pairs);
      refused(() => cache.hmset("h", plain(wrong)), pairs);
    }
    for (const wrong of [null, undefined, {}, true]) {
      refused(() => cache.hset("h", "a", plain(wrong)), noValue);
      refused(() => cache.hset("h", { b: "1", a: plain(wrong) }), noValue);
    }
    expect(cache.exists("h")).toBe(0);
  });

  it("are read", () => {
    cache.hset("h", { a: "1", b: "\u00e9" });
    expect([cache.hget("h", "a"), cache.hget("h", "none")]).toEqual(["1", null]);
    expect(cache.hmget("h", "b", "none", "a")).toEqual(["\u00e9", null, "1"]);
    expect(cache.hmget("h", ["a"])).toEqual(["1"]);
    expect([cache.hkeys("h"), cache.hvals("h")]).toEqual([["a", "b"], ["1", "\u00e9"]]);
    expect([cache.hlen("h"), cache.hexists("h", "a"), cache.hexists("h", "none")])
      .toEqual([2, 1, 0]);
    expect([cache.hstrlen("h", "b"), cache.hstrlen("h", "none")]).toEqual([2, 0]);
    expect(cache.type("h")).toBe("hash");
  });

  it("of no hash are what Redis says, also where the key is null", () => {
    for (const key of missing) {
      expect([cache.hget(key, "a"), cache.hgetall(key), cache.hlen(key), cache.hexists(key, "a"),
        cache.hstrlen(key, "a"), cache.hrandfield(key)]).toEqual([null, null, 0, 0, 0, null]);
      expect([cache.hkeys(key), cache.hvals(key), cache.hrandfield(key, 5),
        cache.hrandfield(key, -5, { withValues: true })]).toEqual([[], [], [], []]);
      expect([cache.hmget(key, "a", "b"), cache.hscan(key, 0)]).toEqual([[null, null], ["0", []]]);
      expect([...cache.hscanIterator(key)]).toEqual([]);
    }
    for (const key of [null, undefined]) {
      refused(() => cache.hset(plain(key), "a", "1"), noKey);
      refused(() => cache.hdel(plain(key), "a"), noKey);
    }
  });

  it("are dropped, and the hash with the last", () => {
    cache.hset("h", { a: "1", b: "2", c: "3" });
    expect([cache.hdel("h", "a", "none"), cache.hdel("h", ["b", "c"]), cache.hdel("h", "a"),
      cache.exists("h")]).toEqual([1, 2, 0, 0]);
    refused(() => cache.hdel("h"), "ERR wrong number of arguments for 'hdel' command");
  });

  it("count", () => {
    expect([cache.hincrby("h", "n", 5), cache.hincrby("h", "n", -7n)]).toEqual([5, -2]);
    expect([cache.hincrbyfloat("h", "f", 10.5), cache.hincrbyfloat("h", "f", "0.1")])
      .toEqual([10.5, 10.6]);
    expect(cache.hgetall("h")).toEqual({ n: "-2", f: "10.6" });
    refused(() => cache.hincrby("h", "f", 1), "ERR hash value is not an integer");
    refused(() => cache.hincrby("h", "n", 1.5), "ERR value is not an integer or out of range");
    refused(() => cache.hincrby("h", "n", -(2n ** 63n)),
      "ERR increment or decrement would overflow");
    cache.hset("h", "text", "x");
    refused(() => cache.hincrbyfloat("h", "text", 1), "ERR hash value is not a float");
    refused(() => cache.hincrbyfloat("h", "f", NaN), "ERR value is not a valid float");
  });

  it("are refused of what is no hash", () => {
    cache.set("k", "v");
    for (const action of [() => cache.hget("k", "a"), () => cache.hset("k", "a", "1"),
      () => cache.hgetall("k"), () => cache.hincrby("k", "a", 1), () => cache.hscan("k", 0)]) {
      refused(action, wrongType, "WRONGTYPE");
    }
    cache.hset("h", "a", "1");
    refused(() => cache.get("h"), wrongType, "WRONGTYPE");
    refused(() => cache.incr("h"), wrongType, "WRONGTYPE");
    expect([cache.mget("h", "k"), cache.set("h", "v"), cache.get("h")])
      .toEqual([[null, "v"], "OK", "v"]);
  });
});

describe("a record", () => {
  it("has every field as a property of its own, whatever its name", () => {
    for (const name of awkwardNames) {
      expect(cache.hset(name, [[name, `of ${name}`]])).toBe(1);
      const record = cache.hgetall(name)!;
      expect([Object.keys(record), record[name]]).toEqual([[name], `of ${name}`]);
      expect(Object.getPrototypeOf(record)).toBe(Object.prototype);
    }
    const parsed = JSON.parse('{"__proto__": "x", "a": "b"}');
    expect([cache.hset("parsed", parsed), cache.hget("parsed", "__proto__")]).toEqual([2, "x"]);
    expect(JSON.stringify(cache.hgetall("parsed"))).toBe('{"__proto__":"x","a":"b"}');
    expect(({} as Record<string, string>).x).toBe(undefined);
  });

  it("is made of own properties only", () => {
    const made = Object.create({ inherited: "1" }, { hidden: { value: "2" } });
    made.own = "3";
    made[Symbol("x")] = "4";
    cache.hset("h", made);
    expect(cache.hgetall("h")).toEqual({ own: "3" });
  });

  it("of a large hash comes whole", () => {
    const fields: Record<string, string> = {};
    for (let part = 0; part < 10; part++) {
      const some: Record<string, string> = {};
      for (let at = 0; at < 500; at++) some[`field:${part}:${at}`] = "\u00e9".repeat(at % 40);
      cache.hset("h", some);
      Object.assign(fields, some);
    }
    expect(cache.hlen("h")).toBe(5000);
    expect(cache.hgetall("h")).toEqual(fields);
    expect(cache.hkeys("h").sort()).toEqual(Object.keys(fields).sort());
    expect(Object.fromEntries(cache.hscanIterator("h", { count: 7 }))).toEqual(fields);
    expect([...cache.hscanIterator("h", { match: "field:3:49?" })].length).toBe(10);
  });

  it("stays bytes through callBytes", () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    cache.hset("h", [[bytes, bytes]]);
    expect(cache.callBytes("HGET", "h", bytes)).toEqual(bytes);
    expect(cache.callBytes("HGETALL", "h")).toEqual([bytes, bytes]);
  });
});

describe("HSCAN and HRANDFIELD", () => {
  it("give pairs where there are values", () => {
    cache.hset("h", { a: "1", b: "2" });
    const [next, items] = cache.hscan("h", 0, { count: 10, match: "*" });
    expect([next, new Map(items)]).toEqual(["0", new Map([["a", "1"], ["b", "2"]])]);
    expect(cache.hscan("h", "0", { match: "b" })).toEqual(["0", [["b", "2"]]]);
    refused(() => cache.hscan("h", 0, plain({ type: "string" })),
      /^ERR syntax error in option "\w+" of '\w+'$/);
    refused(() => cache.hscan("h", 0, { count: 0 }), "ERR syntax error");
    refused(() => cache.hscan("h", "x"), "ERR invalid cursor");

    expect(["a", "b"]).toContain(cache.hrandfield("h"));
    expect(cache.hrandfield("h", 5).sort()).toEqual(["a", "b"]);
    expect(cache.hrandfield("h", 5, { withValues: false }).sort()).toEqual(["a", "b"]);
    expect(cache.hrandfield("h", 5, { withValues: true }).sort()).toEqual([["a", "1"], ["b", "2"]]);
    const often = cache.hrandfield("h", -50, { withValues: true });
    expect([often.length, new Set(often.map(String))]).toEqual([50, new Set(["a,1", "b,2"])]);
    expect(cache.hrandfield("h", 0)).toEqual([]);
    refused(() => cache.hrandfield("h", 1.5), "ERR value is not an integer or out of range");
    refused(() => cache.hrandfield("h", 1, plain({ values: true })),
      /^ERR syntax error in option "\w+" of '\w+'$/);
  });
});

describe("the expiry of fields", () => {
  it("is set, told and taken away", () => {
    cache.hset("h", { a: "1", b: "2", c: "3" });
    expect(cache.hexpire("h", ["a", "none"], 10)).toEqual([1, -2]);
    expect(cache.hpexpire("h", "b", 77)).toEqual([1]);
    expect([cache.httl("h", ["a", "c", "none"]), cache.hpttl("h", ["a", "b"])])
      .toEqual([[10, -1, -2], [10_000, 77]]);
    expect(cache.hexpireat("h", "a", 1_700_000_020)).toEqual([1]);
    expect(cache.hpexpireat("h", ["b"], now + 1500)).toEqual([1]);
    expect([cache.hexpiretime("h", ["a", "b", "c"]), cache.hpexpiretime("h", "b")])
      .toEqual([[1_700_000_020, 1_700_000_002, -1], [now + 1500]]);
    expect(cache.hpersist("h", ["a", "c", "none"])).toEqual([1, -1, -2]);
    now += 1501;
    expect(cache.hgetall("h")).toEqual({ a: "1", c: "3" });
    expect(cache.httl("h", ["a", "b"])).toEqual([-1, -2]);
  });

  it("has EXPIRE's conditions", () => {
    cache.hset("h", { a: "1", b: "2" });
    expect([cache.hexpire("h", "a", 10, "XX"), cache.hexpire("h", "a", 10, "NX")])
      .toEqual([[0], [1]]);
    expect(cache.hexpire("h", ["a", "b"], 5, "gt")).toEqual([0, 0]);
    expect(cache.hexpire("h", ["a", "b"], 5, "lt")).toEqual([1, 1]);
    expect(cache.httl("h", ["a", "b"])).toEqual([5, 5]);
  });

  it("in the past drops them, and the hash with the last", () => {
    cache.hset("h", { a: "1", b: "2" });
    expect([cache.hexpire("h", "a", 0), cache.hgetall("h")]).toEqual([[2], { b: "2" }]);
    expect([cache.hpexpireat("h", "b", 1), cache.exists("h")]).toEqual([[2], 0]);
  });

  it("of no hash is -2 for each field", () => {
    for (const ask of [cache.httl, cache.hpttl, cache.hexpiretime, cache.hpexpiretime]) {
      for (const key of missing) expect(ask.call(cache, key, ["a", "b"])).toEqual([-2, -2]);
    }
    expect([cache.hexpire("none", "a", 10), cache.hpersist("none", ["a", "b"])])
      .toEqual([[-2], [-2, -2]]);
  });

  it("is refused where it cannot be", () => {
    cache.hset("h", "a", "1");
    refused(() => cache.hexpire("h", "a", 1.5), "ERR value is not an integer or out of range");
    refused(() => cache.hexpire("h", "a", -1), /^ERR invalid expire time/);
    refused(() => cache.hexpire("h", [], 10), /^ERR /);
    refused(() => cache.httl("h", []), /^ERR /);
    refused(() => cache.hexpire(plain(null), "a", 10), noKey);
    cache.set("k", "v");
    refused(() => cache.hexpire("k", "a", 10), wrongType, "WRONGTYPE");
    expect(cache.httl("h", "a")).toEqual([-1]);
  });
});
