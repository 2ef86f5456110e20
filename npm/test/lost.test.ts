// An instance whose memory was overwritten: the real engine, really trapping.

import { FerriteError, initFerrite, type FerriteCache } from "@ferrite/edge";
import { describe, expect, it } from "vitest";

import { destroy } from "./support.js";

const operations: [string, (cache: FerriteCache) => unknown][] = [
  ["get", (cache) => cache.get("k")],
  ["getBytes", (cache) => cache.getBytes("k")],
  ["set", (cache) => cache.set("k", "v")],
  ["a large set", (cache) => cache.set("k", "v".repeat(300_000), { get: true })],
  ["call", (cache) => cache.call("INCR", "n")],
  ["keys", (cache) => cache.keys("*")],
  ["stats", (cache) => cache.stats()],
  ["tick", (cache) => cache.tick()],
];

describe("a lost instance", () => {
  it.each(operations)("is replaced when %s traps", async (_, operate) => {
    const cache = await initFerrite({ maxMemory: "2mb", evictionPolicy: "noeviction" });
    for (let resets = 1; resets <= 3; resets++) {
      cache.set("k", "before");
      cache.set("volatile", "before", { ex: 1000 });
      destroy(cache);
      let error: unknown;
      try {
        operate(cache);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(FerriteError);
      expect((error as FerriteError).code).toBe("RESET");
      expect((error as FerriteError).message).toMatch(/the cache is empty/);
      expect((error as FerriteError).cause).toBeInstanceOf(Error);

      expect(cache.get("k")).toBe(null);
      expect(cache.dbsize()).toBe(0);
      expect(cache.set("k", "after")).toBe("OK");
      expect(cache.get("k")).toBe("after");
      expect(cache.stats()).toMatchObject({ instance_resets: resets, maxmemory: 2 << 20, keys: 1 });
    }
  });

  it("is not what an ordinary error is", async () => {
    const cache = await initFerrite();
    cache.set("k", "v");
    expect(() => cache.incr("k")).toThrow(FerriteError);
    expect(() => cache.set("k", null as never)).toThrow(FerriteError);
    expect(cache.get("k")).toBe("v");
    expect(cache.stats().instance_resets).toBe(0);
  });

  it("harms no other cache", async () => {
    const [one, other] = [await initFerrite(), await initFerrite()];
    other.set("k", "v");
    one.set("k", "w");
    destroy(one);
    expect(() => one.get("k")).toThrow(/^RESET/);
    expect(other.get("k")).toBe("v");
  });
});
