// The methods on sets, in Redis's answers.

import { initFerrite, type FerriteCache } from "@ferrite/edge";
import { beforeEach, describe, expect, it } from "vitest";
import { awkwardNames, noKey, noValue, plain, refused, wrongType } from "./support.js";

let cache: FerriteCache;
beforeEach(async () => {
  cache = await initFerrite({ clock: { now: () => 1_700_000_000_000 } });
});

const missing = ["none", null, undefined];

describe("members", () => {
  it("are added and dropped, and the set with the last", () => {
    expect([cache.sadd("s", "a", "b", "a"), cache.sadd("s", ["b", 3, 4n])]).toEqual([2, 2]);
    expect([cache.scard("s"), cache.type("s")]).toEqual([4, "set"]);
    expect(cache.smembers("s").sort()).toEqual(["3", "4", "a", "b"]);
    expect([cache.srem("s", "a", "none"), cache.srem("s", ["b", 3, 4]), cache.exists("s")])
      .toEqual([1, 3, 0]);
    refused(() => cache.sadd("s"), "ERR wrong number of arguments for 'sadd' command");
    refused(() => cache.srem("s", []), "ERR wrong number of arguments for 'srem' command");
    refused(() => cache.sadd("s", "ok", plain(null)), noValue);
    refused(() => cache.sadd(plain(undefined), "a"), noKey);
    expect(cache.exists("s")).toBe(0);
  });

  it("are asked for", () => {
    cache.sadd("s", "a", 5);
    expect([cache.sismember("s", "a"), cache.sismember("s", 5), cache.sismember("s", "none")])
      .toEqual([1, 1, 0]);
    expect([cache.smismember("s", "none", "a"), cache.smismember("s", ["5"])])
      .toEqual([[0, 1], [1]]);
    refused(() => cache.sismember("s", plain(null)), noValue);
  });

  it("of no set are what Redis says, also where the key is null", () => {
    for (const key of missing) {
      expect([cache.scard(key), cache.sismember(key, "a"), cache.smismember(key, "a", "b")])
        .toEqual([0, 0, [0, 0]]);
      expect([cache.smembers(key), cache.srandmember(key), cache.srandmember(key, 2),
        cache.sscan(key, 0), [...cache.sscanIterator(key)]]).toEqual([[], null, [], ["0", []], []]);
    }
    expect([cache.spop("none"), cache.spop("none", 2), cache.srem("none", "a")])
      .toEqual([null, [], 0]);
  });

  it("may have any name", () => {
    expect(cache.sadd("s", awkwardNames)).toBe(awkwardNames.length);
    expect(cache.smembers("s").sort()).toEqual([...awkwardNames].sort());
    expect(cache.smismember("s", awkwardNames)).toEqual(awkwardNames.map(() => 1));
  });

  it("are drawn at random", () => {
    cache.sadd("s", "a", "b", "c");
    expect(["a", "b", "c"]).toContain(cache.srandmember("s"));
    expect(cache.srandmember("s", 9).sort()).toEqual(["a", "b", "c"]);
    expect(new Set(cache.srandmember("s", 2)).size).toBe(2);
    const often = cache.srandmember("s", -60);
    expect([often.length, [...new Set(often)].sort()]).toEqual([60, ["a", "b", "c"]]);
    const taken = [cache.spop("s"), ...cache.spop("s", 0), ...cache.spop("s", 9)];
    expect([taken.sort(), cache.exists("s")]).toEqual([["a", "b", "c"], 0]);
    refused(() => cache.spop("s", -1), "ERR value is out of range, must be positive");
    refused(() => cache.srandmember("s", 1.5), "ERR value is not an integer or out of range");
  });

  it("move", () => {
    cache.sadd("a", "x");
    expect([cache.smove("a", "b", "x"), cache.smove("a", "b", "x"), cache.smembers("b"),
      cache.exists("a")]).toEqual([1, 0, ["x"], 0]);
  });

  it("are scanned", () => {
    const members = Array.from({ length: 5000 }, (_, at) => `member:${at}`);
    for (let at = 0; at < 5000; at += 500) cache.sadd("s", members.slice(at, at + 500));
    const [next, some] = cache.sscan("s", 0, { count: 20, match: "member:*" });
    expect(next).not.toBe("0");
    expect(some.length).toBeGreaterThan(0);
    expect([...new Set(cache.sscanIterator("s", { count: 7 }))].sort()).toEqual(members.sort());
    expect(new Set(cache.sscanIterator("s", { match: "member:499?" })).size).toBe(10);
    expect(cache.smembers("s").sort()).toEqual(members);
    refused(() => cache.sscan("s", "x"), "ERR invalid cursor");
    refused(() => cache.sscan("s", 0, plain({ type: "set" })),
      /^ERR syntax error in option "\w+" of '\w+'$/);
  });
});

describe("sets", () => {
  beforeEach(() => {
    cache.sadd("a", "1", "2", "3");
    cache.sadd("b", "2", "3", "4");
  });

  it("are compared", () => {
    expect(cache.sinter("a", "b").sort()).toEqual(["2", "3"]);
    expect(cache.sunion(["a", "b", "none"]).sort()).toEqual(["1", "2", "3", "4"]);
    expect([cache.sdiff("a", "b"), cache.sdiff(["b", "a"]), cache.sdiff("none", "a")])
      .toEqual([["1"], ["4"], []]);
    expect([cache.sinter("a", "none"), cache.sunion("none")]).toEqual([[], []]);
    expect([cache.sintercard(["a", "b"]), cache.sintercard(["a", "b"], { limit: 1 }),
      cache.sintercard("a"), cache.sintercard(["a", "none"])]).toEqual([2, 1, 3, 0]);
    refused(() => cache.sinter(), "ERR wrong number of arguments for 'sinter' command");
    refused(() => cache.sintercard([]), "ERR wrong number of arguments for 'sintercard' command");
    refused(() => cache.sintercard("a", { limit: -1 }), "ERR LIMIT can't be negative");
    refused(() => cache.sintercard("a", plain({ count: 1 })),
      /^ERR syntax error in option "\w+" of '\w+'$/);
  });

  it("are stored", () => {
    expect([cache.sinterstore("c", "a", "b"), cache.smembers("c").sort()]).toEqual([2, ["2", "3"]]);
    expect([cache.sunionstore("c", ["a", "b"]), cache.scard("c")]).toEqual([4, 4]);
    expect([cache.sdiffstore("c", "a", "b"), cache.smembers("c")]).toEqual([1, ["1"]]);
    cache.set("k", "v");
    expect([cache.sdiffstore("k", "a"), cache.type("k")]).toEqual([3, "set"]);
    expect([cache.sinterstore("c", "a", "none"), cache.exists("c")]).toEqual([0, 0]);
  });

  it("are refused of what is no set", () => {
    cache.set("k", "v");
    for (const action of [() => cache.sadd("k", "x"), () => cache.smembers("k"),
      () => cache.sunion("a", "k"), () => cache.smove("a", "k", "1"), () => cache.spop("k", 1)]) {
      refused(action, wrongType, "WRONGTYPE");
    }
    refused(() => cache.get("a"), wrongType, "WRONGTYPE");
    expect(cache.scard("a")).toBe(3);
  });
});
