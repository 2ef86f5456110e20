// What a Worker's global scope allows: nothing but the module itself. A clock that stands still.

import { initFerrite } from "@ferrite/edge";
import { afterEach, expect, it, vi } from "vitest";
import module from "@ferrite/edge/ferrite.wasm";

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

it("initFerrite asks for neither time nor randomness; the first operation does", async () => {
  const forbid = () => {
    throw new Error("Disallowed operation called within global scope");
  };
  const clock = vi.spyOn(Date, "now").mockImplementation(forbid);
  const random = vi.spyOn(crypto, "getRandomValues").mockImplementation(forbid);
  vi.spyOn(Math, "random").mockImplementation(forbid);
  const cache = await initFerrite({ maxMemory: "2mb" });
  expect([clock.mock.calls.length, random.mock.calls.length]).toEqual([0, 0]);
  expect(() => cache.get("k")).toThrow("global scope");
  vi.restoreAllMocks();
  expect(cache.get("k")).toBe(null);
  expect(cache.stats().instance_resets).toBe(0);
});

it("expires by a clock that stands still between requests", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: 1_800_000_000_000 });
  const cache = await initFerrite();
  cache.set("k", "v", { ex: 1 });
  for (let round = 0; round < 1000; round++) expect(cache.get("k")).toBe("v");
  expect(cache.pttl("k")).toBe(1000);
  vi.setSystemTime(1_800_000_001_001);
  expect([cache.get("k"), cache.ttl("k")]).toEqual([null, -2]);
});

it("takes the module from the caller as well", async () => {
  const cache = await initFerrite(module, { maxMemory: "3mb" });
  expect(cache.stats().maxmemory).toBe(3 << 20);
});
