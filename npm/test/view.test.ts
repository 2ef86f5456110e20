// withBytes: bytes to look at, which for whoever keeps them nevertheless stay what they were, or
// are gone: never those of another value.

import { initFerrite, type FerriteCache } from "@ferrite/edge";
import { describe, expect, it } from "vitest";
import { plain, refused } from "./support";

const encoder = new TextEncoder();
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const cannotReturn = /^ERR the function that withBytes calls must not be async, or return /;
const cannotUse = "ERR the function that withBytes calls cannot use the cache";

/** What was left of the view of a value that was kept beyond its time. */
function leftBy(cache: FerriteCache): [view: Uint8Array, part: Uint8Array, words: DataView] {
  let left: [Uint8Array, Uint8Array, DataView] | undefined;
  cache.withBytes("k", (bytes) => {
    left = [bytes, bytes.subarray(1, 3), new DataView(bytes.buffer, bytes.byteOffset, 4)];
  });
  return left!;
}

describe("withBytes", () => {
  it("shows a value, and returns what the function returns", async () => {
    const cache = await initFerrite();
    for (const value of ["", "v", "\u00e9\u{1f600}", "x".repeat(1000), "y".repeat(300_000)]) {
      cache.set("k", value);
      expect(cache.withBytes("k", text)).toBe(value);
      expect(cache.withBytes("k", (bytes) => bytes.length)).toBe(encoder.encode(value).length);
    }
    cache.set("k", new Uint8Array([0, 255, 128]));
    expect(cache.withBytes("k", (bytes) => [...bytes])).toEqual([0, 255, 128]);
    expect(cache.withBytes("k", () => undefined)).toBe(undefined);
  });

  it("answers null for what is not there, and does not call", async () => {
    let now = 1000;
    const cache = await initFerrite({ clock: { now: () => now } });
    const never = () => expect.unreachable();
    cache.set("gone", "v", { px: 1 });
    now = 2000;
    for (const key of ["missing", "gone", null, undefined]) {
      expect(cache.withBytes(key, never)).toBe(null);
    }
    cache.rpush("list", "a");
    refused(() => cache.withBytes("list", never), /^WRONGTYPE/, "WRONGTYPE");
    refused(() => cache.withBytes("missing", plain(7)),
      "ERR argument 2 of 'withBytes' must be a function, not Number");
  });

  const changes: [string, (cache: FerriteCache) => unknown][] = [
    ["set", (cache) => cache.set("other", "w")],
    ["set of the key", (cache) => cache.set("k", "WWWWWW")],
    ["del", (cache) => cache.del("k")],
    ["incr", (cache) => cache.incr("n")],
    ["multi", (cache) => cache.multi([["set", "k", "WWWWWW"]])],
    ["tick", (cache) => cache.tick()],
    ["flushdb", (cache) => cache.flushdb()],
    ["a get that finds nothing", (cache) => cache.get("missing")],
    ["a get that is refused", (cache) => expect(() => cache.get("list")).toThrow(/WRONGTYPE/)],
  ];
  it.each(changes)("leaves a kept view as it was after %s", async (_, change) => {
    const cache = await initFerrite();
    cache.rpush("list", "a");
    cache.set("k", "abcdef");
    const [view, part, words] = leftBy(cache);
    cache.withBytes("k", (bytes) => expect(text(bytes)).toBe("abcdef"));
    change(cache);
    expect([text(view), text(part), words.getUint8(0)]).toEqual(["abcdef", "bc", 97]);
    cache.set("k", "again");
    expect(cache.get("k")).toBe("again");
  });

  /** More than the memory that is shared, in values of a length that does not divide it. */
  const showMany = (cache: FerriteCache, read: (bytes: Uint8Array) => unknown) => {
    cache.set("other", "z".repeat(1000));
    for (let shown = 0; shown < 70; shown++) cache.withBytes("other", read);
  };

  it("never shows another value in a kept view, however many are shown after it", async () => {
    const cache = await initFerrite();
    cache.set("k", "abcdef");
    const lastBytes: number[] = [];
    for (let round = 0; round < 200; round++) {
      let view: Uint8Array;
      cache.withBytes("k", (bytes) => (view = bytes).length);
      for (let shown = 0; shown < 70; shown++) {
        cache.set("other", "z".repeat(997 + shown));
        cache.withBytes("other", (bytes) => bytes.length);
        if (view!.length > 0) expect(text(view!)).toBe("abcdef");
      }
      lastBytes.push(view!.length);
    }
    // Where memory can be taken from its views they are empty by now, else untouched.
    expect(new Set(lastBytes)).toEqual(new Set(["transfer" in ArrayBuffer.prototype ? 0 : 6]));
  });

  const unfinished: [string, (bytes: Uint8Array) => unknown][] = [
    ["an object", (bytes) => ({ bytes })], ["true", () => true], ["nothing", () => undefined],
    ["a function", () => () => 1],
  ];
  it.each(unfinished)("leaves memory to what may read it: who returns %s", async (_, read) => {
    const cache = await initFerrite();
    cache.set("k", "abcdef");
    let view: Uint8Array | undefined;
    cache.withBytes("k", (bytes) => {
      view = bytes;
      return read(bytes);
    });
    showMany(cache, (bytes) => bytes.length);
    showMany(cache, (bytes) => bytes.length);
    expect(text(view!)).toBe("abcdef");
  });

  it("leaves memory to what may read it: who throws", async () => {
    const cache = await initFerrite();
    cache.set("k", "abcdef");
    let view: Uint8Array | undefined;
    const read = (bytes: Uint8Array) => {
      view = bytes;
      throw new Error("mine");
    };
    expect(() => cache.withBytes("k", read)).toThrow("mine");
    showMany(cache, (bytes) => bytes.length);
    expect(text(view!)).toBe("abcdef");
  });

  it("goes on when somebody takes the memory away", async () => {
    const cache = await initFerrite();
    cache.set("k", "abcdef");
    cache.set("empty", "");
    for (let round = 0; round < 3; round++) {
      const taken = cache.withBytes("k", (bytes) => (
        structuredClone(bytes.length, { transfer: [bytes.buffer] })));
      expect(taken).toBe(6);
      expect(cache.withBytes("empty", (bytes) => bytes.length)).toBe(0);
      expect(cache.withBytes("k", text)).toBe("abcdef");
    }
  });

  it("shows bytes that can be read as words", async () => {
    const cache = await initFerrite();
    cache.set("k", new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]));
    cache.set("odd", "v");
    for (let shown = 0; shown < 3; shown++) {
      cache.withBytes("odd", (bytes) => bytes.length);
      const word = cache.withBytes("k", (bytes) => (
        String(new BigUint64Array(bytes.buffer, bytes.byteOffset, 1)[0])));
      expect(word).toBe("1");
    }
  });

  it("leaves a kept view of a value that expired", async () => {
    let now = 1000;
    const cache = await initFerrite({ clock: { now: () => now } });
    cache.set("k", "abcdef", { px: 10 });
    const [view] = leftBy(cache);
    now = 2000;
    expect(cache.get("k")).toBe(null);
    expect(text(view)).toBe("abcdef");
  });

  it("refuses to return the bytes, or a part of them, or their memory", async () => {
    const cache = await initFerrite();
    cache.set("k", "abcdef");
    let kept: Uint8Array | undefined;
    const returned: ((bytes: Uint8Array<ArrayBuffer>) => unknown)[] = [
      (bytes) => kept = bytes, (bytes) => kept = bytes.subarray(2), (bytes) => bytes.buffer,
      (bytes) => new DataView(bytes.buffer),
    ];
    for (const read of returned) {
      refused(() => cache.withBytes("k", read), cannotReturn);
      expect(kept!.length).toBeGreaterThan(0);
    }
    expect(cache.withBytes("k", (bytes) => bytes.slice(1, 3))).toEqual(encoder.encode("bc"));
    expect(cache.withBytes("k", (bytes) => ({ first: bytes[0] }))).toEqual({ first: 97 });
  });

  it("refuses a function that is async", async () => {
    const cache = await initFerrite();
    cache.set("k", "abcdef");
    let seenLater: number | undefined;
    const read = async (bytes: Uint8Array) => {
      await null;
      seenLater = bytes.length;
      throw new Error("nobody hears of this");
    };
    refused(() => cache.withBytes("k", plain(read)), cannotReturn);
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(seenLater).toBe(6);
    expect(cache.get("k")).toBe("abcdef");
  });

  it("lets what the function throws through", async () => {
    const cache = await initFerrite();
    cache.set("k", "abcdef");
    let kept: Uint8Array | undefined;
    const error = new RangeError("mine");
    const read = (bytes: Uint8Array) => {
      kept = bytes;
      throw error;
    };
    expect(() => cache.withBytes("k", read)).toThrow(error);
    expect(kept!.length).toBeGreaterThan(0);
    expect(cache.get("k")).toBe("abcdef");
  });

  const uses: [string, (cache: FerriteCache) => unknown][] = [
    ["get", (cache) => cache.get("k")], ["getBytes", (cache) => cache.getBytes("k")],
    ["set", (cache) => cache.set("k", "w")], ["call", (cache) => cache.call("GET", "k")],
    ["withBytes", (cache) => cache.withBytes("k", () => 1)], ["stats", (cache) => cache.stats()],
    ["tick", (cache) => cache.tick()], ["multi", (cache) => cache.multi([["get", "k"]])],
    ["getResponse", (cache) => cache.getResponse("k")], ["del", (cache) => cache.del("k")],
    ["scanIterator", (cache) => [...cache.scanIterator()]],
  ];
  it.each(uses)("refuses %s by the function, which can go on", async (_, use) => {
    const cache = await initFerrite();
    cache.set("k", "abcdef");
    const seen = cache.withBytes("k", (bytes) => {
      refused(() => use(cache), cannotUse);
      return text(bytes);
    });
    expect(seen).toBe("abcdef");
    expect(cache.get("k")).toBe("abcdef");
    expect(cache.stats().instance_resets).toBe(0);
  });

  it("is allowed to use another cache", async () => {
    const [cache, other] = [await initFerrite(), await initFerrite()];
    cache.set("k", "abcdef");
    cache.withBytes("k", (bytes) => other.set("copy", bytes));
    expect(other.get("copy")).toBe("abcdef");
  });

  it("may be the source of a set, once it has returned", async () => {
    const cache = await initFerrite();
    cache.set("k", "abcdef");
    const [view] = leftBy(cache);
    cache.set("copy", view);
    expect(cache.get("copy")).toBe("abcdef");
  });
});
