// The promise about memory, on the real module: whatever is stored, linear memory stays within the
// budget and 2 %, or 512 KiB if that is more.

import { initFerrite, type FerriteCache, type LiteCache } from "@ferrite/edge";
import { describe, expect, it } from "vitest";
import { entries } from "./support.js";

function check(cache: LiteCache, phase: string): void {
  const stats = cache.stats();
  const slack = Math.max(stats.maxmemory * 0.02, 512 << 10);
  expect(stats.linear_memory, phase).toBeLessThanOrEqual(stats.maxmemory + slack);
  expect(stats.used_memory, phase).toBeLessThanOrEqual(stats.maxmemory);
  expect(stats.instance_resets).toBe(0);
}

/** Numbers that are the same in every run. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0;
    return (state >>> 0) % below;
  };
}

const sizes = [100, 1000, 10_000, 100_000, 1_000_000, 100, 300_000, 1000, 20];

describe.each(entries)("the budget of $entry", ({ isLite, init }) => {
  it.each([["32mb", 300_000], ["4mb", 60_000], ["1mb", 20_000]])("holds in %s", async (
    maxMemory, operations,
  ) => {
    const cache = await init({ maxMemory });
    const budget = cache.stats().maxmemory;
    const random = randomFrom(7);
    for (const size of sizes) {
      // Enough to turn the whole cache over twice, and no size for ever.
      const rounds = Math.min(operations, Math.ceil(budget / size * 2.5));
      let hits = 0;
      for (let round = 0; round < rounds; round++) {
        const length = Math.ceil(size / 2) + random(size);
        const key = `${size}:${random(rounds)}`;
        if (length > budget / 2) continue;
        const value = String.fromCharCode(97 + round % 26).repeat(length);
        cache.set(key, value, round % 3 === 0 ? { ex: 60 } : undefined);
        if (round % 4 === 0) {
          const got = cache.get(key);
          if (got === value) hits++;
        }
        if (round % 16 === 0) cache.del(`${size}:${random(rounds)}`);
        if (round % 64 === 0 && !isLite) (cache as FerriteCache).append(key, "more");
      }
      if (size < budget / 8) expect(hits).toBe(Math.ceil(rounds / 4));
      check(cache, `values of ${size} bytes`);
      if (size <= 1000) {
        const keys = cache.keys();
        expect(keys.length).toBe(new Set(keys).size);
        check(cache, "after all keys were listed");
      }
    }
    expect(cache.stats().evicted_keys).toBeGreaterThan(1000);
  });

  it("holds for arguments, too", async () => {
    const cache = await init({ maxMemory: "1mb" });
    const keys = Array.from({ length: 6000 }, (_, at) => `key:${at}`);
    for (let round = 0; round < 20; round++) {
      cache.mset(keys.slice(0, 2000).map((key) => [key, round]));
      expect(cache.mget(keys.slice(0, 2000))).toEqual(Array(2000).fill(`${round}`));
      cache.del(keys.slice(0, 4000));
      check(cache, `round ${round}`);
    }
  });
});

/** Ways to fill an empty cache, by a command each; and those that only the full cache has. */
const item = "x".repeat(100);
const fields = Array.from({ length: 200 }, (_, at) => `field:${at}`);
const ways: Record<string, (cache: LiteCache, number: number) => unknown> = {
  set: (cache, number) => cache.set(`k${number}`, item),
  setex: (cache, number) => cache.setex(`k${number}`, 100, item),
  call: (cache, number) => cache.call("SET", `k${number}`, item),
  mset: (cache, number) => cache.mset([[`a${number}`, item], [`b${number}`, item]]),
  multi: (cache, number) => cache.multi([["set", `a${number}`, item], ["incr", `b${number}`]]),
  counters: (cache, number) => [cache.incr(`k${number}`), cache.expire(`k${number}`, 100)],
};
const others: Record<string, (cache: FerriteCache, number: number) => unknown> = {
  "small hashes": (cache, number) => cache.hset(`k${number}`, "field", item),
  "large hashes": (cache, number) => cache.hset(`k${number >> 8}`, `f${number}`, item),
  "fields that expire": (cache, number) => number % 200 > 0 || [
    cache.hset(`k${number}`, Object.fromEntries(fields.map((name) => [name, item]))),
    cache.hexpire(`k${number}`, fields, 100),
  ],
  "small lists": (cache, number) => cache.rpush(`k${number}`, item),
  "large lists": (cache, number) => cache.rpush(`k${number >> 8}`, item),
  "small sets": (cache, number) => cache.sadd(`k${number}`, item),
  "large sets": (cache, number) => cache.sadd(`k${number >> 8}`, item + number),
  append: (cache, number) => cache.append(`k${number >> 4}`, item),
  copies: (cache, number) => [cache.set("k", item), cache.copy("k", `k${number}`)],
};

describe.each(["3mb", "9mb"])("%s, from empty on", (maxMemory) => {
  function fill<Cache extends LiteCache>(
    cache: Cache, add: (cache: Cache, number: number) => unknown,
  ): void {
    let number = 0;
    while (cache.stats().evicted_keys === 0) {
      for (const end = number + 1000; number < end; number++) add(cache, number);
    }
    check(cache, `${number} times`);
  }
  const inLite = entries.flatMap(({ entry, init }) => (
    Object.keys(ways).map((way) => ({ entry, init, way }))));
  it.each(inLite)("are filled by $way in $entry", async ({ init, way }) => {
    fill(await init({ maxMemory }), ways[way]!);
  });
  it.each(Object.keys(others))("are filled by %s", async (way) => {
    fill(await initFerrite({ maxMemory }), others[way]!);
  });
});

/** Phases of a life: each fills the cache with another type, whose elements have another size. */
const phases: [string, number, (cache: FerriteCache, key: string, item: string) => void][] = [
  ["strings", 2000, (cache, key, item) => cache.set(key, item)],
  ["small hashes", 30, (cache, key, item) => cache.hset(`h${key}`, "field", item)],
  ["lists", 300, (cache, key, item) => cache.rpush(`l${key.length}`, item)],
  ["large sets", 40, (cache, key, item) => cache.sadd(`s${key.slice(0, 2)}`, key + item)],
  ["large hashes", 700, (cache, key, item) => cache.hset(`H${key.slice(0, 2)}`, key, item)],
  ["fields that expire", 60, (cache, key, item) => {
    cache.hset(`f${key.slice(0, 3)}`, key, item);
    cache.hpexpire(`f${key.slice(0, 3)}`, key, 50);
  }],
  ["large strings", 200_000, (cache, key, item) => cache.set(key, item)],
  ["strings that grow", 500, (cache, key, item) => cache.append(`a${key.slice(0, 4)}`, item)],
];

it.each(["16mb", "2mb"])("holds for collections in %s, whatever came before", async (maxMemory) => {
  let now = 1_000_000;
  const cache = await initFerrite({ maxMemory, clock: { now: () => now } });
  const { maxmemory } = cache.stats();
  const random = randomFrom(11);
  for (const round of [1, 2]) {
    for (const [name, size, add] of phases) {
      let added = 0;
      for (let at = 0; added < 1.5 * maxmemory && at < 150_000; at++) {
        const item = String.fromCharCode(97 + at % 26).repeat(Math.ceil(size / 2) + random(size));
        add(cache, String(random(1 << 30)), item);
        added += item.length;
        now += 1;
      }
      check(cache, `${name}, round ${round}`);
    }
    for (const key of cache.keys().slice(0, 50)) cache.del(key);
    check(cache, `after deletions, round ${round}`);
  }
  expect(cache.stats().evicted_keys).toBeGreaterThan(100);
});
