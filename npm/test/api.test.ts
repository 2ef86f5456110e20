// What goes in comes back exactly, what is wrong is refused in Redis's words; options, time, stats.
// Not here: the methods of the families (keys.test.ts and so on).

import initFerrite, * as ferrite from "@ferrite/edge";
import { FerriteError, type FerriteCache, type FerriteOptions } from "@ferrite/edge";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { noKey, noValue, plain, refused } from "./support.js";

const encoder = new TextEncoder();
let now = 0;
let cache: FerriteCache;

beforeEach(async () => {
  now = 1_700_000_000_000;
  cache = await initFerrite({ clock: { now: () => now } });
});

/** Lengths around everything that changes course: the loop, a record, a page, the scratch area. */
const lengths = [
  0, 1, 11, 12, 13, 39, 40, 41, 42, 127, 128, 255, 256, 257, 1000, 4000, 4060, 4084, 4096, 5000,
  8168, 20_476, 20_477, 20_478, 30_715, 30_716, 61_430, 61_431, 61_432, 65_511, 65_512, 65_536,
  131_072, 300_000, 1_000_000,
];

const alphabets: Record<string, string> = {
  ascii: "ab\0\n\x7f", latin: "\u00e9\u00ff\u0080", greek: "\u03b1z\u03c9", cjk: "\u4f60\u597d",
  emoji: "\u{1f980}x", mark: "\ufeff\ufffd",
};

function textOf(alphabet: string, length: number): string {
  const text = alphabet.repeat(length / alphabet.length + 1).slice(0, length);
  // Never end on half a pair.
  return /[\ud800-\udbff]$/.test(text) ? `${text.slice(0, -1)}y` : text;
}

describe("strings", () => {
  it.each(Object.entries(alphabets))("%s of every length come back as they were", (_, alphabet) => {
    for (const length of lengths) {
      const text = textOf(alphabet, length);
      expect(cache.set("k", text)).toBe("OK");
      expect(cache.get("k") === text, `get ${length}`).toBe(true);
      const bytes = encoder.encode(text);
      expect(cache.strlen("k")).toBe(bytes.length);
      const copy = cache.getBytes("k")!;
      expect(copy.length === bytes.length && copy.every((byte, at) => byte === bytes[at]),
        `getBytes ${length}`).toBe(true);
      expect(cache.call("GET", "k") === text, `call ${length}`).toBe(true);
      expect(cache.set("k", "", { get: true }) === text, `set get ${length}`).toBe(true);
      expect(cache.mget("k", "k")).toEqual(["", ""]);
    }
  });

  it("may be keys of every alphabet", () => {
    for (const alphabet of Object.values(alphabets)) {
      for (const length of [0, 1, 39, 40, 41, 100, 1000, 2600]) {
        const key = textOf(alphabet, length);
        cache.set(key, `${length}`);
        expect(cache.get(key)).toBe(`${length}`);
        expect(cache.get(encoder.encode(key))).toBe(`${length}`);
        expect(cache.keys()).toEqual([key]);
        expect(cache.del(key)).toBe(1);
      }
    }
  });

  it("with half a surrogate pair are refused, and nothing changes", () => {
    cache.set("k", "before");
    for (const half of ["\ud83d", "\udd80", "a\ud83d", "\udd80\ud83d"]) {
      for (const text of [half, half + "x".repeat(100), half + "x".repeat(200_000),
        "x".repeat(200_000) + half]) {
        refused(() => cache.set("k", text), /half a surrogate pair/);
        refused(() => cache.append("k", text), /half a surrogate pair/);
        if (text.length < 1000) refused(() => cache.get(text), /half a surrogate pair/);
        else expect(cache.get(text)).toBe(null);
      }
    }
    expect(cache.get("k")).toBe("before");
  });

  it("that are not UTF-8 are replaced as text and exact as bytes", () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    for (const copies of [1, 30, 1000]) {
      const value = Uint8Array.from({ length: 256 * copies }, (_, at) => bytes[at % 256]!);
      cache.set("k", value);
      expect(cache.getBytes("k")).toEqual(value);
      expect(cache.callBytes("get", "k")).toEqual(value);
      expect(cache.get("k")).toBe(new TextDecoder("utf-8", { ignoreBOM: true }).decode(value));
    }
  });
});

describe("values", () => {
  it("may be numbers, bytes and buffers", () => {
    const bytes = encoder.encode("__bytes__");
    cache.mset([["number", 1.5], ["big", 2n ** 63n], ["view", bytes.subarray(2, 7)]]);
    cache.set("buffer", bytes.buffer);
    cache.set("zero", 0);
    expect(cache.mget("number", "big", "view", "buffer", "zero"))
      .toEqual(["1.5", "9223372036854775808", "bytes", "__bytes__", "0"]);
  });

  it("are copies: neither side sees what the other does to them later", () => {
    const bytes = encoder.encode("before");
    cache.set("k", bytes);
    bytes.fill(33);
    const copy = cache.getBytes("k")!;
    copy.fill(34);
    expect(cache.get("k")).toBe("before");
    expect(copy.buffer.byteLength).toBe(copy.length);
  });

  it.each([null, undefined, true, {}, [], () => 1, Symbol("x")])("cannot be %s", (value) => {
    cache.set("k", "before");
    refused(() => cache.set("k", plain(value)), noValue);
    refused(() => cache.append("k", plain(value)), noValue);
    expect(cache.get("k")).toBe("before");
    expect(cache.stats().instance_resets).toBe(0);
  });

  it("may be of any size that the budget has room for, and none above the engine's limit", () => {
    const large = "x".repeat(20 << 20);
    expect(cache.set("large", large)).toBe("OK");
    expect(cache.get("large") === large).toBe(true);
    expect(cache.set("large", "y", { get: true }) === large).toBe(true);
    refused(() => cache.set("large", new Uint8Array(40 << 20)),
      "OOM command not allowed when used memory > 'maxmemory'.", "OOM");
    refused(() => cache.set("large", new Uint8Array((512 << 20) + 1)),
      "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    expect(cache.get("large")).toBe("y");
  });

  it("that fit no call name the limit", () => {
    refused(() => cache.rpush("k", "x".repeat(300_000)),
      /^ERR too much for one call of 'rpush': .* of 61432 bytes /);
    // With the name it is one argument more, and with the lengths four bytes more for each.
    const keys = Array.from({ length: 8192 }, () => "k");
    refused(() => cache.del(keys), /^ERR too much for one call of 'del': .* 8192 arguments/);
    expect(cache.del(keys.slice(1))).toBe(0);
    const room = 61_432 - 4 * 3 - "rpush".length - "k".length;
    refused(() => cache.rpush("k", "x".repeat(room + 1)), /^ERR too much for one call of 'rpush'/);
    expect(cache.rpush("k", "x".repeat(room))).toBe(1);
  });

  it("may be large for every method that sets a whole string, or adds to one", async () => {
    const full = await initFerrite({ maxMemory: "64mb", clock: { now: () => now } });
    const large = "l\u00e4rge".repeat(500_000);
    const bytes = encoder.encode(large);
    expect(full.setnx("nx", large)).toBe(1);
    expect(full.setnx("nx", bytes)).toBe(0);
    expect(full.setex("ex", 10, large)).toBe("OK");
    expect(full.psetex("px", 10_000, bytes)).toBe("OK");
    expect([full.ttl("nx"), full.ttl("ex"), full.pttl("px")]).toEqual([-1, 10, 10_000]);
    expect(full.getset("ex", bytes) === large).toBe(true);
    expect(full.ttl("ex")).toBe(-1);
    for (const key of ["nx", "ex", "px"]) expect(full.get(key) === large, key).toBe(true);

    expect(full.append("px", large)).toBe(2 * bytes.length);
    expect(full.append("px", "!")).toBe(2 * bytes.length + 1);
    expect(full.pttl("px")).toBe(10_000);
    expect(full.get("px") === `${large}${large}!`).toBe(true);
    expect(full.append("new", bytes)).toBe(bytes.length);
    expect(full.append("new", bytes)).toBe(2 * bytes.length);
    full.rpush("list", "a");
    refused(() => full.append("list", large), /^WRONGTYPE/, "WRONGTYPE");
    refused(() => full.getset("list", large), /^WRONGTYPE/, "WRONGTYPE");
    refused(() => full.append("px", new Uint8Array(60 << 20)), /^OOM/, "OOM");
    refused(() => full.append("px", new Uint8Array(512 << 20)),
      "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    expect(full.get("px") === `${large}${large}!`).toBe(true);
    refused(() => full.setex("ex", 0, large), "ERR invalid expire time in 'setex' command");
    refused(() => full.psetex("ex", -1, "v"), "ERR invalid expire time in 'psetex' command");
    refused(() => full.setex("ex", 1.5, "v"), /^ERR value is not an integer or out of range/);
    refused(() => full.mset({ a: large, b: "1" }), /^ERR too much for one call of 'mset'/);
    expect([full.exists("a", "b"), full.stats().instance_resets]).toEqual([0, 0]);
  });
});

describe("keys that are not there", () => {
  it("are null to a read, not an accident", () => {
    cache.set("null", "a trap");
    cache.set("undefined", "a trap");
    for (const key of [null, undefined]) {
      expect(cache.get(key)).toBe(null);
      expect(cache.getBytes(key)).toBe(null);
      expect([cache.exists(key), cache.strlen(key), cache.ttl(key), cache.pttl(key)])
        .toEqual([0, 0, -2, -2]);
      expect(cache.type(key)).toBe("none");
      expect(cache.mget(key, "null", key)).toEqual([null, "a trap", null]);
      expect(cache.mget([key])).toEqual([null]);
      refused(() => cache.set(plain(key), "x"), noKey);
      refused(() => cache.incr(plain(key)), noKey);
      refused(() => cache.del(plain(key)), noKey);
    }
    refused(() => cache.get(plain({})),
      "ERR argument 1 of 'get', a key, must be text or bytes, not Object");
    refused(() => cache.get(plain(Symbol("x"))),
      "ERR argument 1 of 'get', a key, must be text or bytes, not Symbol");
  });
});

describe("SET", () => {
  it("has Redis's options", () => {
    expect(cache.set("k", "1", { xx: true })).toBe(null);
    expect(cache.set("k", "1", { nx: true, ex: 10 })).toBe("OK");
    expect(cache.set("k", "2", { nx: true })).toBe(null);
    expect([cache.get("k"), cache.pttl("k")]).toEqual(["1", 10_000]);
    expect(cache.set("k", "2", { keepTtl: true, get: true })).toBe("1");
    expect([cache.get("k"), cache.pttl("k")]).toEqual(["2", 10_000]);
    expect(cache.set("k", "3", { px: 77 })).toBe("OK");
    expect(cache.pttl("k")).toBe(77);
    expect(cache.set("k", "4", { exat: 1_700_000_020 })).toBe("OK");
    expect(cache.ttl("k")).toBe(20);
    expect(cache.set("k", "5", { pxat: now + 5, nx: false, xx: true })).toBe("OK");
    expect(cache.pttl("k")).toBe(5);
    expect(cache.set("k", "6", plain({ keepttl: true, ex: undefined }))).toBe("OK");
    expect(cache.pttl("k")).toBe(5);
    expect(cache.set("new", "1", { get: true })).toBe(null);
    expect(cache.set("new", "2", { get: true, nx: true })).toBe("1");
    expect(cache.get("new")).toBe("1");
    now += 6;
    expect(cache.get("k")).toBe(null);
  });

  it.each([
    { ex: 1, px: 1 }, { ex: 1, keepTtl: true }, { exat: 1, pxat: 1 }, { px: 1, exat: 1 },
    { nx: true, xx: true }, { ttl: 5 }, { EX: 5 }, { nx: 1 }, { get: "yes" }, { keepTtl: 1 },
    null, 60, "EX", ["EX", 60],
  ])("refuses %j", (options) => {
    const name = Object.keys(options ?? {}).at(-1);
    refused(() => cache.set("k", "v", plain(options)), options?.constructor === Object
      ? `ERR syntax error in option "${name}" of 'set'`
      : /^ERR the options of 'set' must be an object, not (Null|Number|String|Array)$/);
    expect(cache.get("k")).toBe(null);
  });

  it.each([1.5, NaN, Infinity, 2 ** 60, "10", null, true, 1n])("refuses to expire in %s", (ex) => {
    refused(() => cache.set("k", "v", plain({ ex })),
      "ERR value is not an integer or out of range in option \"ex\" of 'set'");
    expect(cache.get("k")).toBe(null);
  });

  it.each([{ ex: 0 }, { px: -1 }, { exat: 0 }, { pxat: -5 }, { px: 2 ** 53 - 1 }])(
    "treats %j as Redis does", (options) => {
      const size = [..."small", "x".repeat(200_000)];
      for (const value of size) {
        const [[name, number]] = Object.entries(options) as [[string, number]];
        const line = (set: () => unknown) => {
          try {
            return set();
          } catch (error) {
            return (error as FerriteError).message;
          }
        };
        const asRow = line(() => cache.call("SET", "k", "v", name, number));
        expect(line(() => cache.set("k", value, plain(options)))).toBe(asRow);
        expect([`ERR invalid expire time in 'set' command`, "OK"]).toContain(asRow);
      }
    });
});

describe("every other method", () => {
  it("counts", () => {
    expect([cache.incr("n"), cache.incrby("n", 41), cache.decr("n"), cache.decrby("n", 40)])
      .toEqual([1, 42, 41, 1]);
    expect(cache.incrby("n", 2n ** 62n)).toBe(2 ** 62);
    expect(cache.call("incrby", "n", 1)).toBe(2n ** 62n + 2n);
    cache.set("n", `${2 ** 53 - 2}`);
    expect([cache.call("incr", "n"), cache.call("incr", "n")]).toEqual([2 ** 53 - 1, 2n ** 53n]);
    cache.set("n", `-${2 ** 53 - 1}`);
    expect([cache.call("incrby", "n", 0), cache.call("decr", "n")])
      .toEqual([-(2 ** 53 - 1), -(2n ** 53n)]);
    refused(() => cache.incrby("n", 1.5), "ERR value is not an integer or out of range");
    cache.set("n", "9223372036854775807");
    refused(() => cache.incr("n"), "ERR increment or decrement would overflow");
  });

  it("expires", () => {
    cache.mset({ a: 1, b: 2 });
    expect([cache.expire("a", 10), cache.expire("none", 10)]).toEqual([1, 0]);
    expect([cache.expire("a", 20, "NX"), cache.expire("a", 20, "XX", "gt")]).toEqual([0, 1]);
    expect([cache.ttl("a"), cache.pttl("a"), cache.ttl("b"), cache.ttl("none")])
      .toEqual([20, 20_000, -1, -2]);
    expect([cache.pexpire("a", 5), cache.pttl("a")]).toEqual([1, 5]);
    expect([cache.expireat("a", 1_700_000_001), cache.pttl("a")]).toEqual([1, 1000]);
    expect([cache.pexpireat("a", now + 7), cache.pttl("a")]).toEqual([1, 7]);
    expect([cache.persist("a"), cache.persist("a"), cache.ttl("a")]).toEqual([1, 0, -1]);
    refused(() => cache.expire("a", 1.5), "ERR value is not an integer or out of range");
    refused(() => cache.expire("a", 1, "NX", "GT"),
      "ERR NX and XX, GT or LT options at the same time are not compatible");
  });

  it("does what its name says", () => {
    expect([cache.ping(), cache.ping("hi \u00e9")]).toEqual(["PONG", "hi \u00e9"]);
    expect(cache.mset(new Map([["a", "1"], ["b", "2"]]))).toBe("OK");
    expect([cache.append("a", "x"), cache.append("c", "3"), cache.strlen("a")]).toEqual([2, 1, 2]);
    expect(cache.mget(["a", "none", "c"])).toEqual(["1x", null, "3"]);
    expect([cache.exists("a", "a", "none"), cache.exists(["a", "b"])]).toEqual([2, 2]);
    expect([cache.type("a"), cache.type("none"), cache.dbsize()]).toEqual(["string", "none", 3]);
    expect([cache.keys("[ab]").sort(), cache.keys().sort()]).toEqual([["a", "b"], ["a", "b", "c"]]);
    expect([cache.del("a", "none"), cache.del(["b", "c"])]).toEqual([1, 2]);
    cache.set("a", "");
    expect([cache.flushdb("ASYNC"), cache.dbsize()]).toEqual(["OK", 0]);
    refused(() => cache.del(), "ERR wrong number of arguments for 'del' command");
    refused(() => cache.mset({}), "ERR wrong number of arguments for 'mset' command");
    refused(() => cache.call("nosuch", "a"),
      "ERR unknown command 'nosuch', with args beginning with: 'a' ");
  });

  it("scans every key, by itself and as an iterator", () => {
    const keys = Array.from({ length: 1000 }, (_, at) => `key:${at}`);
    cache.mset(keys.map((key) => [key, ""]));
    const [next, some] = cache.scan(0, { count: 20, match: "key:*", type: "string" });
    expect(next).not.toBe("0");
    expect(some.length).toBeGreaterThanOrEqual(20);
    expect(new Set(cache.scanIterator({ count: 7 }))).toEqual(new Set(keys));
    expect([...cache.scanIterator({ match: "key:99?" })].length).toBe(10);
    refused(() => cache.scan("x"), "ERR invalid cursor");
    refused(() => cache.scan("0", plain({ limit: 5 })),
      /^ERR syntax error in option "\w+" of '\w+'$/);
  });

  it("gives whole replies that are larger than the scratch area", () => {
    const keys = Array.from({ length: 12_000 }, (_, at) => `${at}:${"\u00e9".repeat(at % 50)}`);
    for (const key of keys) cache.set(key, key);
    expect(cache.keys().sort()).toEqual([...keys].sort());
    // What these are asked with fits, what they answer does not.
    const values = keys.slice(0, 2000).map((key, at) => [`v${at}`, key] as const);
    for (const [key, value] of values) cache.set(key, value);
    expect(cache.mget(values.map(([key]) => key))).toEqual(values.map(([, value]) => value));
  });
});

describe("time", () => {
  it("is Date's unless a clock is given", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: 1_800_000_000_000 });
    try {
      const timed = await initFerrite();
      timed.set("k", "v", { px: 50 });
      vi.setSystemTime(1_800_000_000_050);
      expect(timed.get("k")).toBe("v");
      vi.setSystemTime(1_800_000_000_051);
      expect(timed.get("k")).toBe(null);
    } finally {
      vi.useRealTimers();
    }
  });

  it("lets expired keys go as others are written, and at a tick", () => {
    for (let at = 0; at < 5000; at++) cache.set(`short:${at}`, "x", { ex: 1 });
    now += 2000;
    expect(cache.dbsize()).toBe(5000);
    for (let at = 0; at < 5000; at++) cache.set("other", "y");
    expect(cache.dbsize()).toBe(1);
    for (let at = 0; at < 1000; at++) cache.set(`short:${at}`, "x", { ex: 1 });
    now += 2000;
    let dropped = 0;
    for (let round = 0; round < 10; round++) dropped += cache.tick(100);
    expect(dropped).toBeGreaterThan(900);
    expect(cache.stats().expired_keys).toBeGreaterThanOrEqual(5900);
  });
});

describe("options", () => {
  it("have defaults", async () => {
    expect((await ferrite.initFerrite()).stats().maxmemory).toBe(32 << 20);
    expect(initFerrite).toBe(ferrite.initFerrite);
    for (const maxMemory of ["64mb", "64MB", 64 << 20, `${64 << 20}`]) {
      expect((await initFerrite({ maxMemory })).stats().maxmemory).toBe(64 << 20);
    }
    expect((await initFerrite(undefined, { maxMemory: "1mb" })).stats().maxmemory).toBe(1 << 20);
  });

  it("choose who leaves", async () => {
    const full = await initFerrite({ maxMemory: "1mb", evictionPolicy: "noeviction" });
    const fill = () => {
      for (let at = 0; at < 5000; at++) full.set(`${at}`, "x".repeat(1000));
    };
    refused(fill, "OOM command not allowed when used memory > 'maxmemory'.", "OOM");
    expect(full.stats().evicted_keys).toBe(0);
    expect(full.get("0")).toBe("x".repeat(1000));
    const lru = await initFerrite({ maxMemory: "1mb" });
    for (let at = 0; at < 5000; at++) lru.set(`${at}`, "x".repeat(1000));
    expect(lru.stats().evicted_keys).toBeGreaterThan(4000);
    expect(lru.get("4999")).toBe("x".repeat(1000));
  });

  it.each<[unknown, RegExp]>([
    [{ maxMemmory: "1mb" }, /^ERR unknown option "maxMemmory": there are maxMemory, /],
    [{ maxMemory: "64 mb" }, /^ERR maxMemory "64 mb": argument must be a memory value: .*"64mb"/],
    [{ maxMemory: -1 }, /^ERR maxMemory -1: argument must be a memory value/],
    [{ maxMemory: 1.5e6 + 0.5 }, /^ERR maxMemory 1500000.5: argument must be a memory value/],
    [{ maxMemory: null }, /^ERR maxMemory null: argument must be a memory value/],
    [{ maxMemory: "100kb" }, /^ERR maxMemory "100kb": argument must be between 1048576 and 2147/],
    [{ maxMemory: "3gb" }, /^ERR maxMemory "3gb": argument must be between 1048576 and 2147/],
    [{ evictionPolicy: "lru" }, /^ERR evictionPolicy "lru": .*one of the following: .*allkeys-lru/],
    [{ evictionPolicy: 5 }, /^ERR evictionPolicy 5: .*one of the following/],
    [{ clock: {} }, /^ERR clock: it must have a function now/],
    [{ clock: null }, /^ERR clock: it must have a function now/],
    ["64mb", /^ERR what 'initFerrite' takes must be options or a WebAssembly.Module, not String$/],
    [null, /^ERR what 'initFerrite' takes must be options or a WebAssembly.Module, not Null$/],
    [Promise.resolve({ maxMemory: "1mb" }), /, not Promise$/], [["1mb"], /, not Array$/],
    [new Map([["maxMemory", "1mb"]]), /, not Map$/], [new Uint8Array(8), /, not Uint8Array$/],
  ])("%j are refused by name", async (options, message) => {
    await expect(initFerrite(options as FerriteOptions)).rejects.toThrow(message);
    await expect(initFerrite(options as FerriteOptions)).rejects.toBeInstanceOf(FerriteError);
  });

  it.each<[string, unknown, RegExp]>([
    ["a bigint", { maxMemory: 5n }, /^ERR maxMemory 5: argument must be between 1048576 and 2147/],
    ["too long for the scratch area", { maxMemory: "x".repeat(100_000) },
      /^ERR maxMemory "x+": argument must be a memory value/],
    ["too long together", { maxMemory: "1mb", evictionPolicy: "x".repeat(61_430) },
      /^ERR evictionPolicy "x+": .*one of the following/],
  ])("that are %s are refused by name", async (_, options, message) => {
    await expect(initFerrite(options as FerriteOptions)).rejects.toThrow(message);
  });

  it("come second after a module, and after nothing else", async () => {
    await expect(initFerrite(plain({}), {})).rejects.toThrow("must be a WebAssembly.Module");
  });
});

describe("stats", () => {
  it("are all there, and move", () => {
    cache.set("a", "1", { ex: 10 });
    cache.get("a");
    cache.get("none");
    const stats = cache.stats();
    expect(stats).toMatchObject({
      keys: 1, expires: 1, keyspace_hits: 1, keyspace_misses: 1, expired_keys: 0, evicted_keys: 0,
      instance_resets: 0, maxmemory: 32 << 20,
    });
    expect(Object.keys(stats).sort()).toEqual([
      "compacted_bytes", "evicted_keys", "expired_keys", "expires", "instance_resets",
      "keys", "keyspace_hits", "keyspace_misses", "linear_memory", "maxmemory", "used_memory",
      "used_memory_dataset",
    ]);
    expect(stats.used_memory).toBeLessThanOrEqual(stats.maxmemory);
  });
});
