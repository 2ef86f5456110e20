// multi: several commands in one crossing, all of them or none.

import { FerriteError, initFerrite } from "@ferrite/edge";
import { describe, expect, it } from "vitest";
import { plain, refused, wrongType } from "./support";

const aborted = "EXECABORT Transaction discarded because of previous errors.";

describe("multi", () => {
  it("answers each command in its place", async () => {
    const cache = await initFerrite();
    const replies = cache.multi([
      ["set", "a", 1], ["incr", "a"], ["get", "a"], ["get", "missing"], ["hset", "h", "f", "v"],
      ["HGETALL", "h"], ["hmget", "h", "f", "g"], ["rpush", "l", new Uint8Array([120]), "y"],
      ["lrange", "l", 0, -1], ["ping"], ["scan", 0],
    ]);
    expect(replies.slice(0, 10)).toEqual(["OK", 2, "2", null, 1, ["f", "v"], ["v", null], 2,
      ["x", "y"], "PONG"]);
    expect(replies[10]).toEqual(["0", expect.arrayContaining(["a", "h", "l"])]);
    expect(cache.multi([])).toEqual([]);
  });

  it("has a failing command's error in its place, and runs the others", async () => {
    const cache = await initFerrite();
    const replies = cache.multi([
      ["set", "text", "t"], ["lpush", "text", "x"], ["incr", "text"], ["set", "after", "yes"],
    ]);
    expect(replies[0]).toBe("OK");
    expect(replies[1]).toBeInstanceOf(FerriteError);
    expect(replies[1]).toMatchObject({ message: wrongType, code: "WRONGTYPE" });
    expect(replies[2]).toMatchObject({ message: "ERR value is not an integer or out of range" });
    expect(replies[3]).toBe("OK");
    expect(cache.get("after")).toBe("yes");
  });

  it.each([
    ["an unknown command", ["nonsense", "a"], /^ERR unknown command 'nonsense'/],
    ["a wrong number of arguments", ["get"], "ERR wrong number of arguments for 'get' command"],
    ["a command of another build", ["zadd", "z", 1, "m"], /^ERR unknown command 'zadd'/],
  ] as [string, [string, ...string[]], string | RegExp][])("runs nothing when there is %s", async (
    _, wrong, cause) => {
    const cache = await initFerrite();
    const run = () => cache.multi([["set", "a", 1], wrong, ["set", "b", 2]]);
    refused(run, aborted, "EXECABORT");
    try {
      run();
    } catch (error) {
      expect((error as Error).cause).toBeInstanceOf(FerriteError);
      expect(((error as Error).cause as Error).message).toMatch(cause);
    }
    expect(cache.dbsize()).toBe(0);
    expect(cache.stats().instance_resets).toBe(0);
  });

  it("counts in numbers", async () => {
    const cache = await initFerrite();
    cache.set("n", "9007199254740993");
    expect(cache.multi([["incr", "n"]])).toEqual([9007199254740994]);
  });

  it("sees one moment", async () => {
    let now = 1000;
    const cache = await initFerrite({ clock: { now: () => now++ } });
    cache.set("k", "v", { pxat: 2000 });
    const asked = Array.from({ length: 100 }, () => ["pttl", "k"] as const);
    expect(new Set(cache.multi(asked)).size).toBe(1);
  });

  it("gives replies of any size", async () => {
    const cache = await initFerrite();
    const large = "x".repeat(200_000);
    cache.set("large", large);
    cache.set("small", "s");
    const replies = cache.multi([
      ["get", "large"], ["get", "small"], ["lpush", "small", 1], ["get", "large"],
    ]);
    expect(replies).toEqual([large, "s", expect.any(FerriteError), large]);
  });

  it("refuses what is too much, or no commands, and changes nothing", async () => {
    const cache = await initFerrite();
    const many = Array.from({ length: 5000 }, (_, at) => ["del", `k${at}`] as const);
    refused(() => cache.multi(many), /^ERR too much for one call/);
    refused(() => cache.multi([["set", "a", 1], ["set", "b", "x".repeat(70_000)]]),
      /^ERR too much for one call/);
    const wrong = /^ERR multi takes an array of commands/;
    for (const commands of [null, undefined, "get", {}, [null], ["get"], [[]], [[1, "a"]]]) {
      refused(() => cache.multi(plain(commands)), wrong);
    }
    refused(() => cache.multi([["set", "a", plain(null)]]), /not Null/);
    refused(() => cache.multi([["set", "a", "\ud800"]]), /^ERR text with half a surrogate pair/);
    expect(cache.dbsize()).toBe(0);
  });
});
