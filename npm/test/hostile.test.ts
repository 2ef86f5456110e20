// What a caller may get wrong, from plain JavaScript: always a FerriteError, and nothing changes.

import { FerriteError, initFerrite, type FerriteCache } from "@ferrite/edge";
import { describe, expect, it } from "vitest";
import { awkwardNames, plain, refused } from "./support";

/** Any method by its name. */
const method = (cache: FerriteCache, name: string) =>
  (cache as unknown as Record<string, (...values: unknown[]) => unknown>)[name]!.bind(cache);

const notKeys = [null, undefined, true, {}, [], Symbol("k"), () => 1, new Date(0)];

/** The writes that take a key first, with what else they need. */
const writes: [string, ...unknown[]][] = [
  ["set", "v"], ["setJson", 1], ["append", "v"], ["incr"], ["incrby", 1], ["getset", "v"],
  ["setex", 10, "v"], ["hset", "f", "v"], ["hset", { f: "v" }], ["hincrby", "f", 1], ["rpush", "a"],
  ["lpop"], ["sadd", "m"], ["spop"], ["expire", 10], ["persist"], ["rename", "other"],
];
const reads = ["get", "getBytes", "getJson", "getResponse", "strlen", "ttl", "hgetall", "smembers"];

async function filled(): Promise<FerriteCache> {
  const cache = await initFerrite();
  cache.set("k", "v");
  cache.hset("h", { f: "v" });
  return cache;
}

function unchanged(cache: FerriteCache): void {
  expect(cache.keys().sort()).toEqual(["h", "k"]);
  expect([cache.get("k"), cache.hgetall("h")]).toEqual(["v", { f: "v" }]);
  expect(cache.stats().instance_resets).toBe(0);
}

describe("what is no key", () => {
  it.each(writes)("is refused by %s", async (name, ...rest) => {
    const cache = await filled();
    for (const key of notKeys) {
      expect(() => method(cache, name)(key, ...rest), String(key)).toThrow(FerriteError);
    }
    unchanged(cache);
  });

  it.each(reads)("is missing or refused for %s", async (name) => {
    const cache = await filled();
    for (const key of notKeys) {
      const isMissing = key === null || key === undefined;
      if (isMissing) expect(() => method(cache, name)(key)).not.toThrow();
      else expect(() => method(cache, name)(key), String(key)).toThrow(FerriteError);
    }
    unchanged(cache);
  });
});

describe("keys", () => {
  it("have any name", async () => {
    const cache = await initFerrite();
    for (const name of awkwardNames) {
      expect(cache.get(name)).toBe(null);
      cache.set(name, `value of ${name}`);
      expect(cache.withBytes(name, (bytes) => bytes.length)).toBe(9 + name.length);
    }
    for (const name of awkwardNames) expect(cache.get(name)).toBe(`value of ${name}`);
    expect(cache.dbsize()).toBe(awkwardNames.length);
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  it("are missing or refused when they are too long, whichever way they come", async () => {
    const cache = await filled();
    const tooLong = "ERR key exceeds maximum allowed size (8000 bytes)";
    const missing: [string, unknown, ...unknown[]][] = [
      ...reads.map((name): [string, unknown] => [name, cache.exists("none") ? "" :
        { strlen: 0, ttl: -2, smembers: [] as string[] }[name] ?? null]),
      ["exists", 0], ["touch", 0], ["type", "none"], ["mget", [null]], ["getex", null],
      ["lrange", [], 0, -1], ["sismember", 0, "m"], ["hmget", [null], "f"],
      ["withBytes", null, () => 1],
      // What changes a key that is there finds none.
      ["del", 0], ["unlink", 0], ["expire", 0, 10], ["persist", 0], ["lpop", null], ["spop", null],
      ["hdel", 0, "f"], ["srem", 0, "m"], ["sinter", []], ["copy", 0, "other"],
    ];
    for (const long of ["k".repeat(8001), "\u00e9".repeat(4001), "k".repeat(62_000),
      "k".repeat(512 << 10), "\u00e9".repeat(512 << 10), new Uint8Array(8001),
      new Uint8Array(512 << 10)]) {
      for (const [name, answer, ...rest] of missing) {
        expect(method(cache, name)(long, ...rest), name).toEqual(answer);
      }
      for (const [name, ...rest] of writes) {
        if (["lpop", "spop", "expire", "persist"].includes(name)) continue;
        refused(() => method(cache, name)(long, ...rest),
          name === "rename" ? "ERR no such key" : tooLong);
      }
      for (const act of [() => cache.rename("k", long), () => cache.mset([[long, "v"], ["k", "w"]]),
        () => cache.copy("k", long)]) refused(act, tooLong);
      await expect(cache.putResponse(long, new Response("body"))).rejects.toThrow(tooLong);
    }
    unchanged(cache);
  });

  it("are no numbers, in any method", async () => {
    const cache = await filled();
    for (const key of [1, 1n, NaN, new ArrayBuffer(1)]) {
      const refusal = (name: string) => new RegExp(
        `^ERR argument [12] of '${name}', a key, must be text or bytes, not (Number|BigInt|Array)`);
      for (const [name, ...rest] of writes) {
        refused(() => method(cache, name)(key, ...rest), refusal(name));
      }
      for (const name of reads) {
        refused(() => method(cache, name)(key), refusal(name === "getJson" ? "get" : name));
      }
      for (const [name, ...rest] of [["del", "k", key], ["exists", "k", key], ["mget", "k", key],
        ["unlink", [key]], ["touch", key], ["rename", "k", key], ["copy", "k", key],
        ["smove", "k", key, "m"], ["rpoplpush", "k", key], ["sinter", "h", key],
        ["sinterstore", "k", key], ["sintercard", [key]], ["lmpop", key, "left"],
        ["object", "freq", key], ["mset", [[key, "v"]]], ["msetnx", new Map([[key, "v"]])],
      ] as [string, ...unknown[]][]) {
        refused(() => method(cache, name)(...rest), refusal(name));
      }
      await expect(cache.putResponse(plain(key), new Response("body"))).rejects
        .toThrow(refusal("putResponse"));
    }
    unchanged(cache);
  });

  it("with half a surrogate pair are refused, whichever way they come", async () => {
    const cache = await filled();
    const refusal = /^ERR text with half a surrogate pair/;
    for (const half of ["\ud800", "a\udc00", `${"long ".repeat(20)}\ud83d`, "\udc00\ud800"]) {
      for (const [name, ...rest] of writes) {
        refused(() => method(cache, name)(half, ...rest), refusal);
      }
      for (const name of reads) refused(() => method(cache, name)(half), refusal);
      refused(() => cache.withBytes(half, () => 1), refusal);
      await expect(cache.putResponse(half, new Response("body"))).rejects.toThrow(refusal);
      refused(() => cache.set("k", half), refusal);
      refused(() => cache.hset("h", half, "v"), refusal);
    }
    unchanged(cache);
  });
});

describe("values that are none", () => {
  it("are refused", async () => {
    const cache = await filled();
    for (const value of [null, undefined, true, {}, [], Symbol("v"), () => 1, new Date(0)]) {
      for (const put of [
        () => cache.set("k", plain(value)), () => cache.append("k", plain(value)),
        () => cache.hset("h", "f", plain(value)), () => cache.rpush("l", plain(value) ?? null),
        () => cache.call("SET", "k", plain(value)),
      ]) expect(put, String(value)).toThrow(FerriteError);
    }
    unchanged(cache);
  });

  it("are refused when their bytes were taken away", async () => {
    const cache = await filled();
    const bytes = new Uint8Array([1, 2, 3]);
    structuredClone(bytes, { transfer: [bytes.buffer] });
    refused(() => cache.set("k", bytes), /^ERR these bytes are no longer there/);
    refused(() => cache.set("k", bytes.buffer), /^ERR these bytes are no longer there/);
    unchanged(cache);
    cache.set("k", new Uint8Array());
    expect(cache.get("k")).toBe("");
  });
});

describe("options", () => {
  const wrong: [string, unknown][] = [
    ["null", null], ["text", "EX"], ["a number", 60], ["an unknown name", { ttl: 60 }],
    ["text for a number", { ex: "60" }], ["a fraction", { ex: 0.5 }], ["no number", { px: NaN }],
    ["infinity", { ex: Infinity }], ["zero", { ex: 0 }], ["less than zero", { px: -1 }],
    ["too large a number", { ex: 2 ** 53 }], ["a bigint", { ex: 60n }], ["an object", { ex: {} }],
    ["a number for a flag", { nx: 1 }], ["text for a flag", { keepTtl: "yes" }],
    ["two times", { ex: 1, px: 1 }], ["a time and none", { ex: 1, keepTtl: true }],
    ["both conditions", { nx: true, xx: true }], ["null for a number", { ex: null }],
  ];
  it.each(wrong)("of SET may not be %s", async (_, options) => {
    const cache = await filled();
    expect(() => cache.set("k", "w", plain(options))).toThrow(FerriteError);
    expect(() => cache.setJson("k", "w", plain(options))).toThrow(FerriteError);
    await expect(cache.putResponse("k", new Response("w"), plain(options)))
      .rejects.toThrow(FerriteError);
    unchanged(cache);
  });

  it("of a command are as it says, and are read before it answers", async () => {
    const cache = await filled();
    const wrong: (() => unknown)[] = [
      () => cache.scan("0", plain({ match: false })), () => cache.scan("0", plain({ count: true })),
      () => cache.scan("0", plain(["match", "*"])), () => cache.scan(plain({ match: "*" })),
      () => cache.scanIterator(plain({ match: false })), () => cache.scanIterator({ count: 0 }),
      () => cache.scanIterator(plain({ limit: 1 })), () => cache.scanIterator(plain("k*")),
      () => cache.scanIterator({ match: plain(Symbol("s")) }),
      () => cache.hscanIterator("h", { count: -1 }), () => cache.sscanIterator("s", plain([])),
      () => cache.hscanIterator(plain(5)), () => cache.getex("k", plain({ ex: true })),
      () => cache.getex("k", plain({ persist: 1 })),
      () => cache.copy("k", "c", plain({ replace: 1 })),
      () => cache.hrandfield("h", 1, plain({ withValues: "yes" })),
      () => cache.set("k", "w", plain([])), () => cache.set("k", "w", plain(new Map([["ex", 1]]))),
      () => cache.set("k", "w", plain(Promise.resolve({ ex: 1 }))),
    ];
    for (const act of wrong) expect(act, String(act)).toThrow(FerriteError);
    refused(() => cache.scanIterator({ count: 0 }), "ERR syntax error");
    refused(() => cache.hscanIterator("k"), /^WRONGTYPE/, "WRONGTYPE");
    expect([...cache.scanIterator()].sort()).toEqual(["h", "k"]);
    expect(cache.getex("k", { persist: false })).toBe("v");
    unchanged(cache);
  });

  it("that are undefined count as not given", async () => {
    const cache = await initFerrite();
    expect(cache.set("k", "v", plain({ ex: undefined, nx: undefined }))).toBe("OK");
    expect(cache.ttl("k")).toBe(-1);
  });

  it.each([null, "1mb", 7, [], new Map(), new Uint8Array(8), Promise.resolve({}), new Date(0),
    { maxMemory: Object.create(null) }, { clock: { get now() { throw 1; } } },
    { maxMemory: {} }, { maxMemory: -1 }, { maxMemory: NaN },
    { maxMemory: "" }, { evictionPolicy: 1 }, { clock: Date.now }, { clock: null }, { size: 1 }])(
    "of initFerrite may not be such (%#)", async (options) => {
      await expect(initFerrite(plain(options), plain(undefined))).rejects.toThrow(FerriteError);
    });
});

// Modules that a compiler would have made of: nothing; a function get alone; all the names, but of
// another face.
const sections = (...bytes: number[]) => Uint8Array.from([0, 97, 115, 109, 1, 0, 0, 0, ...bytes]);
const text = (name: string) => [name.length, ...new TextEncoder().encode(name)];

function moduleWith(names: string[]): Uint8Array<ArrayBuffer> {
  const exports = [
    ...text("memory"), 2, 0, ...names.flatMap((name) => [...text(name), 0, 0]),
  ];
  return sections(
    1, 5, 1, 0x60, 0, 1, 0x7f, // one type: nothing in, a number out
    3, 2, 1, 0, // one function
    5, 3, 1, 0, 1, // one page of memory
    7, exports.length + 1, names.length + 1, ...exports,
    10, 6, 1, 4, 0, 0x41, 8, 0x0b, // the function returns 8
  );
}

const canCompile = (() => {
  try {
    return Boolean(new WebAssembly.Module(sections()));
  } catch {
    return false;
  }
})();

describe.runIf(canCompile)("a module of another build", () => {
  const all = ["scratch_pointer", "configure", "open", "get", "set", "call", "tick", "stats"];
  const imports = [2, 9, 1, ...text("env"), ...text("f"), 0, 0];
  it.each<[string, Uint8Array<ArrayBuffer>]>([
    ["has nothing", sections()], ["lacks functions", moduleWith(["get"])],
    ["has another face", moduleWith(all)],
    ["wants memory", sections(2, 10, 1, ...text("env"), ...text("m"), 2, 0, 1)],
    ["wants what there is not", sections(1, 4, 1, 0x60, 0, 0, ...imports)],
  ])("is refused when it %s", async (_, bytes) => {
    const module = new WebAssembly.Module(bytes);
    const error: unknown = await initFerrite(plain(module)).then(() => "", (thrown) => thrown);
    expect(error).toBeInstanceOf(FerriteError);
    expect((error as FerriteError).message).toBe("ERR this WebAssembly module is not that of "
      + "this version of @ferrite/edge");
  });
});

describe("what calls back", () => {
  it("may be a clock, which comes before an operation", async () => {
    let cache: FerriteCache | undefined;
    let isAsked = false;
    const clock = {
      now() {
        if (!cache || isAsked) return 1000;
        isAsked = true;
        cache.set("from the clock", "v");
        cache.withBytes("from the clock", () => 1);
        isAsked = false;
        return 1000;
      },
    };
    cache = await initFerrite({ clock });
    cache.set("k", "v");
    expect([cache.get("k"), cache.get("from the clock"), cache.dbsize()]).toEqual(["v", "v", 2]);
    expect(cache.stats().instance_resets).toBe(0);
  });

  it("may be a clock that throws: nothing happened", async () => {
    let isBroken = false;
    const error = new Error("no time");
    const cache = await initFerrite({
      clock: { now() { if (isBroken) throw error; return 1000; } },
    });
    cache.set("k", "v");
    // Reads ask for the time only where a key may expire.
    cache.set("expiring", "v", { px: 1 });
    isBroken = true;
    for (const [name, ...rest] of writes) {
      expect(() => method(cache, name)("k", ...rest)).toThrow(error);
    }
    expect(() => cache.get("k")).toThrow(error);
    isBroken = false;
    expect([cache.get("k"), cache.dbsize(), cache.stats().instance_resets]).toEqual(["v", 2, 0]);
  });

  it("may be an array that counts in another way", async () => {
    class Strange extends Uint8Array {
      override subarray(): never {
        throw new Error("never asked");
      }
    }
    const cache = await initFerrite();
    const value = new Strange(200_000).fill(120);
    cache.set("large", value);
    expect(cache.strlen("large")).toBe(200_000);
    cache.set("small", value.slice(0, 10));
    expect(cache.get("small")).toBe("x".repeat(10));
  });
});

describe("arguments that cannot be read", () => {
  const detached = () => {
    const { buffer } = new Uint8Array([1, 2, 3]);
    const view = new DataView(buffer);
    structuredClone(buffer, { transfer: [buffer] });
    return view;
  };
  const outOfBounds = () => {
    const buffer = Reflect.construct(ArrayBuffer, [8, { maxByteLength: 16 }]) as ArrayBuffer;
    const view = new Uint8Array(buffer, 4, 4);
    (buffer as ArrayBuffer & { resize(length: number): void }).resize(2);
    return view;
  };
  const revoked = () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  };
  const tagged = () => ({ get [Symbol.toStringTag]() { throw new Error("tag"); } });
  it.each([detached, outOfBounds, revoked, tagged])("lose nothing: %o", async (make) => {
    const cache = await filled();
    const value = plain(make());
    for (const act of [
      () => cache.set("k", value), () => cache.set(value, "v"), () => cache.get(value),
      () => cache.append("k", value), () => cache.hset("h", "f", value),
      () => cache.multi([["set", "k", value]]),
    ]) expect(act).toThrow(FerriteError);
    expect(cache.stats().instance_resets).toBe(0);
    unchanged(cache);
  });

  it.each<[string, (cache: FerriteCache, bad: never) => unknown]>([
    ["del", (cache, bad) => cache.del(bad)], ["mget", (cache, bad) => cache.mget(bad)],
    ["exists", (cache, bad) => cache.exists("k", bad)],
    ["sadd", (cache, bad) => cache.sadd("s", bad)],
    ["hset", (cache, bad) => cache.hset("h", bad)], ["mset", (cache, bad) => cache.mset(bad)],
    ["mset in pairs", (cache, bad) => cache.mset([bad])],
    ["multi", (cache, bad) => cache.multi(bad)],
    ["multi in it", (cache, bad) => cache.multi([bad])],
    ["set", (cache, bad) => cache.set("k", "w", bad)],
    ["getex", (cache, bad) => cache.getex("k", bad)], ["scan", (cache, bad) => cache.scan(0, bad)],
    ["lpos", (cache, bad) => cache.lpos("l", "a", bad)], ["call", (cache, bad) => cache.call(bad)],
    ["withBytes", (cache, bad) => cache.withBytes("k", bad)],
    ["putResponse", (cache, bad) => cache.putResponse("k", bad)],
    ["putResponse with options", (cache, bad) => cache.putResponse("k", new Response(""), bad)],
    ["initFerrite", (_, bad) => initFerrite(bad)],
  ])("are refused as such by %s", async (_, act) => {
    const cache = await filled();
    const { proxy, revoke } = Proxy.revocable([], {});
    revoke();
    const throws = new Proxy({}, {
      ownKeys() { throw new Error("own keys"); },
      get(_, name) { throw new Error(String(name)); },
    });
    for (const bad of [proxy, throws]) {
      await expect((async () => act(cache, plain(bad)))()).rejects.toThrow(FerriteError);
    }
    unchanged(cache);
  });

  it("lose nothing: counts, and holes among commands", async () => {
    const cache = await filled();
    for (const buckets of [5n, Symbol("s"), { valueOf() { throw 1; } }, NaN, -1, Infinity, "x"]) {
      expect(() => cache.tick(plain(buckets))).toThrow(FerriteError);
    }
    expect(() => cache.multi(new Array(2))).toThrow(FerriteError);
    expect(() => cache.multi(plain([["set", "k", "1"], , ["get", "k"]]))).toThrow(FerriteError);
    expect(cache.stats().instance_resets).toBe(0);
    unchanged(cache);
  });

  it("lose nothing: a clock that gives no number", async () => {
    let now: unknown = 1000;
    const cache = await initFerrite({ clock: { now: () => plain(now) } });
    cache.set("k", "v", { px: 1 });
    for (now of [1000n, "1000", undefined, NaN]) {
      expect(() => cache.set("k", "w")).toThrow(FerriteError);
    }
    now = 1000;
    expect([cache.get("k"), cache.stats().instance_resets]).toEqual(["v", 0]);
  });

  it("write no more than there is room for", async () => {
    class Short extends Uint8Array {
      override get length() { return 1; }
      override get byteLength() { return 1; }
    }
    const cache = await filled();
    const large = new Short(200_000).fill(120);
    expect(cache.set("large", large)).toBe("OK");
    expect(cache.strlen("large")).toBe(200_000);
    expect(() => cache.set(large, "v")).toThrow(FerriteError);
    expect(() => cache.rpush("l", large)).toThrow(FerriteError);
    expect(cache.append("large", large)).toBe(400_000);
    cache.del("large");
    expect(cache.stats().instance_resets).toBe(0);
    unchanged(cache);
  });

  it("may use the cache while multi reads them", async () => {
    const cache = await initFerrite();
    const command = ["set", "k"] as unknown as ["set", string, string];
    Object.defineProperty(command, 2, { enumerable: true, get() {
      cache.set("other", "o".repeat(1000));
      return "v";
    } });
    expect(cache.multi([["set", "first", "1"], command])).toEqual(["OK", "OK"]);
    expect(cache.mget("first", "k")).toEqual(["1", "v"]);
  });
});

it("JSON shows the figures of a cache, not its memory", async () => {
  const cache = await initFerrite();
  cache.set("k", "v");
  expect(JSON.parse(JSON.stringify({ cache })).cache.keys).toBe(1);
});
