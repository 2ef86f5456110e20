// The methods on lists, in Redis's answers.

import { initFerrite, type FerriteCache } from "@ferrite/edge";
import { beforeEach, describe, expect, it } from "vitest";
import { noKey, noValue, plain, refused, wrongType } from "./support.js";

let cache: FerriteCache;
beforeEach(async () => {
  cache = await initFerrite({ clock: { now: () => 1_700_000_000_000 } });
});

const missing = ["none", null, undefined];
const all = (key: string) => cache.lrange(key, 0, -1);

describe("lists", () => {
  it("grow at both ends", () => {
    expect([cache.rpush("l", "b", 3, 4n), cache.lpush("l", ["a", "A"])]).toEqual([3, 5]);
    expect(cache.rpush("l", new Uint8Array([90]))).toBe(6);
    expect(all("l")).toEqual(["A", "a", "b", "3", "4", "Z"]);
    expect([cache.lpushx("l", "x"), cache.rpushx("l", ["y", "z"])]).toEqual([7, 9]);
    expect([cache.lpushx("none", "x"), cache.rpushx("none", "x"), cache.exists("none")])
      .toEqual([0, 0, 0]);
    expect([cache.llen("l"), cache.type("l")]).toEqual([9, "list"]);
    refused(() => cache.lpush("l"), "ERR wrong number of arguments for 'lpush' command");
    refused(() => cache.rpush("l", []), "ERR wrong number of arguments for 'rpush' command");
    refused(() => cache.rpush("l", plain(null)), noValue);
    refused(() => cache.rpush("l", "ok", plain({})), noValue);
    refused(() => cache.rpush(plain(null), "x"), noKey);
    expect(cache.llen("l")).toBe(9);
  });

  it("give elements away, and go with the last", () => {
    cache.rpush("l", "a", "b", "c", "d", "e");
    expect([cache.lpop("l"), cache.rpop("l")]).toEqual(["a", "e"]);
    expect([cache.lpop("l", 0), cache.rpop("l", 2)]).toEqual([[], ["d", "c"]]);
    expect([cache.lpop("l", 9), cache.exists("l")]).toEqual([["b"], 0]);
    expect([cache.lpop("l"), cache.rpop("l"), cache.lpop("l", 2), cache.rpop("l", 2)])
      .toEqual([null, null, null, null]);
    refused(() => cache.lpop("l", -1), "ERR value is out of range, must be positive");
  });

  it("give elements away from the first that is there", () => {
    cache.rpush("b", "1", "2", "3");
    expect(cache.lmpop(["a", "b"], "LEFT")).toEqual(["b", ["1"]]);
    expect(cache.lmpop("b", "right", { count: 5 })).toEqual(["b", ["3", "2"]]);
    expect(cache.lmpop(["a", "b"], "LEFT")).toBe(null);
    refused(() => cache.lmpop("b", "LEFT", { count: 0 }), "ERR count should be greater than 0");
    refused(() => cache.lmpop([], "LEFT"), "ERR wrong number of arguments for 'lmpop' command");
    refused(() => cache.lmpop("b", plain("UP")), "ERR syntax error");
    refused(() => cache.lmpop("b", "LEFT", plain({ limit: 1 })),
      /^ERR syntax error in option "\w+" of '\w+'$/);
  });

  it("are read by index", () => {
    cache.rpush("l", "a", "b", "c", "\u00e9");
    expect([cache.lindex("l", 0), cache.lindex("l", -1), cache.lindex("l", 4)])
      .toEqual(["a", "\u00e9", null]);
    expect([cache.lrange("l", 1, 2), cache.lrange("l", -2, 99), cache.lrange("l", 3, 1)])
      .toEqual([["b", "c"], ["c", "\u00e9"], []]);
    refused(() => cache.lrange("l", 0.5, 1), "ERR value is not an integer or out of range");
    refused(() => cache.lindex("l", plain(undefined)), noValue);
  });

  it("of no key are what Redis says, also where the key is null", () => {
    for (const key of missing) {
      expect([cache.llen(key), cache.lindex(key, 0), cache.lrange(key, 0, -1),
        cache.lpos(key, "a"), cache.lpos(key, "a", { count: 2 })]).toEqual([0, null, [], null, []]);
    }
  });

  it("find elements", () => {
    cache.rpush("l", "a", "b", "c", "1", "2", "3", "c", "c");
    expect([cache.lpos("l", "c"), cache.lpos("l", "c", { rank: 2 }), cache.lpos("l", "none")])
      .toEqual([2, 6, null]);
    expect([cache.lpos("l", "c", { rank: -1 }), cache.lpos("l", 3)]).toEqual([7, 5]);
    expect(cache.lpos("l", "c", { count: 2 })).toEqual([2, 6]);
    expect(cache.lpos("l", "c", { count: 0, rank: -1 })).toEqual([7, 6, 2]);
    expect(cache.lpos("l", "c", { count: 0, maxlen: 3 })).toEqual([2]);
    expect(cache.lpos("l", "none", { count: 0 })).toEqual([]);
    refused(() => cache.lpos("l", "c", { rank: 0 }), /^ERR RANK can't be zero/);
    refused(() => cache.lpos("l", "c", { count: -1 }), "ERR COUNT can't be negative");
    refused(() => cache.lpos("l", "c", plain({ start: 1 })),
      /^ERR syntax error in option "\w+" of '\w+'$/);
  });

  it("are changed in the middle", () => {
    cache.rpush("l", "a", "b", "a", "c", "a");
    expect([cache.lset("l", 1, "B"), cache.lset("l", -1, 5), all("l")])
      .toEqual(["OK", "OK", ["a", "B", "a", "c", "5"]]);
    expect([cache.linsert("l", "BEFORE", "c", "b4"), cache.linsert("l", "after", "c", "aft"),
      cache.linsert("l", "BEFORE", "none", "x"), cache.linsert("none", "BEFORE", "a", "x")])
      .toEqual([6, 7, -1, 0]);
    expect(all("l")).toEqual(["a", "B", "a", "b4", "c", "aft", "5"]);
    expect([cache.lrem("l", 1, "a"), cache.lrem("l", 0, "none"), cache.lrem("l", -1, "5")])
      .toEqual([1, 0, 1]);
    expect([cache.ltrim("l", 1, -2), all("l")]).toEqual(["OK", ["a", "b4", "c"]]);
    expect([cache.ltrim("l", 5, 9), cache.exists("l")]).toEqual(["OK", 0]);
    refused(() => cache.lset("none", 0, "x"), "ERR no such key");
    cache.rpush("l", "a");
    refused(() => cache.lset("l", 1, "x"), "ERR index out of range");
    refused(() => cache.linsert("l", plain("beside"), "a", "x"), "ERR syntax error");
  });

  it("pass elements on", () => {
    cache.rpush("a", "1", "2", "3");
    expect([cache.lmove("a", "b", "LEFT", "RIGHT"), cache.lmove("a", "b", "right", "left"),
      cache.rpoplpush("a", "b"), cache.lmove("a", "b", "LEFT", "LEFT"), cache.rpoplpush("a", "b")])
      .toEqual(["1", "3", "2", null, null]);
    expect([all("b"), cache.exists("a")]).toEqual([["2", "3", "1"], 0]);
    expect([cache.lmove("b", "b", "LEFT", "RIGHT"), all("b")]).toEqual(["2", ["3", "1", "2"]]);
    refused(() => cache.lmove("b", "a", plain("TOP"), "LEFT"), "ERR syntax error");
  });

  it("come whole when they are large", () => {
    const items = Array.from({ length: 5000 }, (_, at) => `${at}:${"\u00e9".repeat(at % 40)}`);
    for (let at = 0; at < items.length; at += 500) cache.rpush("l", items.slice(at, at + 500));
    expect(all("l")).toEqual(items);
    expect(cache.lindex("l", 4321)).toBe(items[4321]);
    expect(cache.lpop("l", 5000)).toEqual(items);
  });

  it("are refused of what is no list", () => {
    cache.set("k", "v");
    for (const action of [() => cache.rpush("k", "x"), () => cache.lpop("k"),
      () => cache.lrange("k", 0, -1), () => cache.lmove("k", "l", "LEFT", "LEFT")]) {
      refused(action, wrongType, "WRONGTYPE");
    }
    cache.rpush("l", "a");
    refused(() => cache.get("l"), wrongType, "WRONGTYPE");
  });
});
