// The second entry: the same cache, whose engine can compress. Nothing but figures tells.

import { FerriteError, initFerrite as initPlain } from "@ferrite/edge";
import { initFerrite, type FerriteCache } from "@ferrite/edge/compressed";
import { describe, expect, it } from "vitest";

import { destroy, plain, refused } from "./support.js";

/** Numbers that are the same in every run. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0;
    return (state >>> 0) % below;
  };
}

const words = "the of and to a in for is on with light paper cotton steel wood glass leather "
  + "colour dark blue green white warm strong round front cover pocket strap handle base frame lid";

function text(random: (below: number) => number, count: number): string {
  const all = words.split(" ");
  return Array.from({ length: count }, () => all[random(all.length)]).join(" ");
}

/** A record of about 900 bytes: names of fields and words repeat, all else does not. */
function record(random: (below: number) => number, number: number): string {
  const hex = (length: number) =>
    Array.from({ length }, () => random(16).toString(16)).join("");
  return JSON.stringify({
    id: number, uuid: hex(32), name: `Zo\u00eb ${hex(6)}`, email: `${hex(9)}@example.org`,
    createdAt: 1.7e12 + random(1e9), balance: random(1e6) / 100, verified: random(2) === 1,
    address: { line1: `${random(300)} ${hex(7)}`, city: hex(8), postalCode: random(1e5) },
    description: text(random, 70),
    orders: [1, 2, 3].map((item) => ({ item, orderId: hex(24), amount: random(9999) / 100 })),
  });
}

function fill(cache: FerriteCache, count: number): string[] {
  const random = randomFrom(5);
  const values: string[] = [];
  for (let number = 0; number < count; number++) {
    const value = record(random, number);
    values.push(value);
    cache.set(`user:${number}`, value);
    if (number % 10 === 0) cache.get(`user:${number % 200}`);
  }
  return values;
}

describe("compression", () => {
  it("keeps its views of memory when that grows between operations", async () => {
    let grown = 0;
    // Which operation makes memory grow depends on the seed: one budget alone would be luck.
    for (let budget = 20; budget < 40; budget++) {
      const cache = await initFerrite({ maxMemory: budget * 100_000, compression: true });
      const random = randomFrom(budget);
      const bytes = () => cache.stats().linear_memory;
      for (let number = 0; number < 70 * budget; number++) {
        cache.set("last", String(number));
        cache.set(`user:${number}`, record(random, number));
        const before = bytes();
        cache.tick(64);
        if (bytes() > before) grown++;
        // What is asked for is written to memory first: into a view of old, it would be nowhere.
        expect(cache.get("last")).toBe(String(number));
      }
    }
    expect(grown).toBeGreaterThan(0);
  });

  it("holds more, gives every value back, and keeps the budget", async () => {
    const maxMemory = "4mb";
    const [without, cache] = [await initPlain({ maxMemory }),
      await initFerrite({ maxMemory, compression: true })];
    fill(without, 12_000);
    const values = fill(cache, 12_000);
    const stats = cache.stats();
    expect(stats.keys / without.stats().keys).toBeGreaterThan(1.7);
    expect(stats.compressed_keys).toBeGreaterThan(stats.keys / 2);
    let found = 0;
    for (const [number, value] of values.entries()) {
      const given = cache.get(`user:${number}`);
      if (given === null) continue;
      found++;
      expect(given === value).toBe(true);
      const bytes = new TextDecoder().decode(cache.getBytes(`user:${number}`)!);
      expect(bytes === value).toBe(true);
    }
    expect(found).toBeGreaterThan(stats.keys * 0.9);
    expect(cache.stats().used_memory).toBeLessThanOrEqual(stats.maxmemory);
    expect(stats.linear_memory).toBeLessThanOrEqual(stats.maxmemory + (512 << 10));
    expect(stats.instance_resets).toBe(0);
  });

  it("is as the plain value to every command", async () => {
    const cache = await initFerrite({ maxMemory: "1mb", compression: true });
    const values = fill(cache, 4_000);
    const last = 3_400;
    const value = values[last]!;
    const key = `user:${last}`;
    expect(cache.stats().compressed_keys).toBeGreaterThan(100);
    expect(cache.strlen(key)).toBe(new TextEncoder().encode(value).length);
    expect(cache.getrange(key, 0, 9)).toBe(value.slice(0, 10));
    expect(cache.append(key, "!")).toBe(new TextEncoder().encode(value).length + 1);
    expect(cache.get(key)).toBe(`${value}!`);
    expect(cache.rename(`user:${last + 1}`, "other")).toBe("OK");
    expect(cache.get("other")).toBe(values[last + 1]);
    expect(cache.mget(["other", `user:${last + 2}`])).toEqual([values[last + 1], values[last + 2]]);
  });

  it("takes new views when memory grows in a tick", async () => {
    const cache = await initFerrite({ maxMemory: "16mb", compression: true });
    fill(cache, 30_000);
    expect(cache.stats()).toMatchObject({ instance_resets: 0 });
    const other = await initFerrite({ maxMemory: "16mb", compression: true });
    const random = randomFrom(3);
    for (let number = 0; number < 20_000; number++) {
      other.set(`user:${number}`, record(random, number));
      if (number % 5 === 0) other.tick(16);
    }
    expect(other.stats()).toMatchObject({ instance_resets: 0 });
  });

  it("is off unless it is asked for", async () => {
    const cache = await initFerrite({ maxMemory: "1mb" });
    fill(cache, 3_000);
    expect(cache.stats().compressed_keys).toBe(0);
  });

  it("is an option with two values, which the other entry does not have", async () => {
    const error = await initPlain({ compression: true }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FerriteError);
    expect((error as FerriteError).message)
      .toBe("ERR compression true: only @ferrite/edge/compressed has compression");
    await expect(initFerrite({ compression: plain("yes") })).rejects
      .toThrow('ERR compression "yes": it must be true or false');
    expect((await initPlain({ compression: false })).stats().compressed_keys).toBeUndefined();
  });

  it("shares its errors with the other entry", async () => {
    const cache = await initFerrite({ compression: true });
    refused(() => cache.call("NONSENSE"), /unknown command/);
  });

  it("is on again after an instance was lost", async () => {
    const cache = await initFerrite({ maxMemory: "1mb", compression: true });
    cache.set("k", "before");
    destroy(cache);
    expect(() => cache.get("k")).toThrow(/RESET/);
    fill(cache, 3_000);
    expect(cache.stats()).toMatchObject({ instance_resets: 1 });
    expect(cache.stats().compressed_keys).toBeGreaterThan(100);
  });
});
