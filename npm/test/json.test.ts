// getJson and setJson: explicit, and never a guess.

import { initFerrite, type FerriteCache } from "@ferrite/edge";
import { beforeEach, expect, it } from "vitest";
import { plain, refused } from "./support.js";

let cache: FerriteCache;
beforeEach(async () => {
  cache = await initFerrite({ clock: { now: () => 1_700_000_000_000 } });
});

it.each([
  null, true, 0, -1.5, "", "text", "12345678901234567890", "\ud83d", "\u{1f980}", [], [1, [2]], {},
  { a: { b: [null] } },
])("%j comes back as it was", (value) => {
  expect(cache.setJson("k", value)).toBe("OK");
  expect(cache.get("k")).toBe(JSON.stringify(value));
  expect(cache.getJson("k")).toStrictEqual(value);
});

it("has every property as its own, whatever its name", () => {
  const text = '{"__proto__":{"x":1},"toString":"y"}';
  cache.setJson("k", JSON.parse(text));
  expect(cache.get("k")).toBe(text);
  const read = cache.getJson<Record<string, unknown>>("k")!;
  expect([Object.keys(read), read.x]).toEqual([["__proto__", "toString"], undefined]);
});

it("is written as JSON writes it", () => {
  cache.setJson("k", { at: new Date(0), gone: undefined, none: NaN });
  expect(cache.getJson("k")).toEqual({ at: "1970-01-01T00:00:00.000Z", none: null });
});

it("what is not there is null", () => {
  for (const key of ["none", null, undefined]) expect(cache.getJson(key)).toBe(null);
});

it("has SET's options, but not its old value", () => {
  expect(cache.setJson("k", [1], { ex: 10, nx: true })).toBe("OK");
  expect(cache.setJson("k", [2], { nx: true })).toBe(null);
  expect(cache.setJson("k", [3], { keepTtl: true, get: false })).toBe("OK");
  expect([cache.getJson("k"), cache.ttl("k")]).toEqual([[3], 10]);
  refused(() => cache.setJson("k", [4], plain({ get: true })),
      /^ERR syntax error in option "\w+" of '\w+'$/);
  refused(() => cache.setJson("k", [4], plain({ ttl: 1 })),
      /^ERR syntax error in option "\w+" of '\w+'$/);
  expect(cache.getJson("k")).toEqual([3]);
});

it("nothing else reads or writes JSON", () => {
  cache.set("number", "12345678901234567890");
  cache.setJson("text", "a");
  expect([cache.get("number"), cache.get("text")]).toEqual(["12345678901234567890", '"a"']);
});

it("what is no JSON is refused, with the reason, and nothing changes", () => {
  cache.set("k", "{oops");
  refused(() => cache.getJson("k"), "ERR value is not JSON");
  try {
    cache.getJson("k");
  } catch (error) {
    expect((error as Error).cause).toBeInstanceOf(SyntaxError);
  }
  const circle: unknown[] = [];
  circle.push(circle);
  const throws = { toJSON() { throw new Error("no"); } };
  for (const value of [undefined, () => 1, Symbol("x"), 1n, circle, throws]) {
    refused(() => cache.setJson("k", value), /^ERR this \w+ cannot be written as JSON$/);
  }
  expect(cache.get("k")).toBe("{oops");
});
