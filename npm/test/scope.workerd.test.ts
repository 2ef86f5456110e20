// What a Worker's global scope allows: nothing but the module itself. A clock that stands still.

import { afterEach, describe, expect, it, vi } from "vitest";
import module from "@ferrite/edge/ferrite.wasm";
import lite from "@ferrite/edge/ferrite-lite.wasm";
import { entries, refused, rejected } from "./support.js";

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe.each(entries)("$entry", ({ isLite, init }) => {
  it("initFerrite asks for neither time nor randomness; the first operation does", async () => {
    const forbid = () => {
      throw new Error("Disallowed operation called within global scope");
    };
    const clock = vi.spyOn(Date, "now").mockImplementation(forbid);
    const random = vi.spyOn(crypto, "getRandomValues").mockImplementation(forbid);
    vi.spyOn(Math, "random").mockImplementation(forbid);
    const cache = await init({ maxMemory: "2mb" });
    expect([clock.mock.calls.length, random.mock.calls.length]).toEqual([0, 0]);
    refused(() => cache.get("k"), /^ERR no random numbers: .*global scope$/);
    vi.restoreAllMocks();
    expect(cache.get("k")).toBe(null);
    expect(cache.stats().instance_resets).toBe(0);
  });

  it("expires by a clock that stands still between requests", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: 1_800_000_000_000 });
    const cache = await init();
    cache.set("k", "v", { ex: 1 });
    for (let round = 0; round < 1000; round++) expect(cache.get("k")).toBe("v");
    expect(cache.pttl("k")).toBe(1000);
    vi.setSystemTime(1_800_000_001_001);
    expect([cache.get("k"), cache.ttl("k")]).toEqual([null, -2]);
  });

  it("takes the module from the caller as well", async () => {
    const cache = await init(isLite ? lite : module, { maxMemory: "3mb" });
    expect(cache.stats().maxmemory).toBe(3 << 20);
  });

  it("refuses the module of the other entry", async () => {
    const error = await rejected(init(isLite ? module : lite));
    const [own, other] = isLite ? ["@ferrite/edge/lite", "@ferrite/edge"]
      : ["@ferrite/edge", "@ferrite/edge/lite"];
    expect(error.message)
      .toBe(`ERR this WebAssembly module is that of ${other}, and this is ${own}`);
  });
});
