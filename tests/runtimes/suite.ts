// What every runtime has to pass: the engine's transcripts, and what the package does around them.
// Invariant: it needs nothing but the package itself, so it runs wherever that does; it never
// throws, but tells what was wrong.

import { FerriteError, initFerrite } from "@ferrite/edge";
import * as compressed from "@ferrite/edge/compressed";
import * as lite from "@ferrite/edge/lite";
import { isLeftOut, replay } from "../../npm/test/replay.js";
import transcripts from "./transcripts.json";

export interface Report {
  transcripts: number;
  requests: number;
  checks: number;
  failures: string[];
}

/** Text that the runtimes' functions have to write and read: one, two, three and four bytes. */
const alphabets = ["a", "\u00e9", "\u6f22", "\u{1f980}", "a\u00e9\u6f22\u{1f980}", "\ufeff"];
/** Around the lengths at which another function is taken. */
const lengths = [0, 1, 11, 12, 39, 40, 41, 100, 1000, 20_000, 100_000];

const checks: Record<string, () => Promise<void> | void> = {
  "text comes back exactly": async () => {
    const cache = await initFerrite();
    for (const alphabet of alphabets) {
      for (const length of lengths) {
        const text = alphabet.repeat(length);
        equal(cache.set("text", text), "OK");
        if (cache.get("text") !== text) throw new Error(`${length} times ${alphabet}`);
      }
    }
    throws(() => cache.set("text", "half \ud83e"), /half a surrogate pair/);
  },

  "bytes come back exactly, and are the caller's own": async () => {
    const cache = await initFerrite();
    const bytes = Uint8Array.from({ length: 70_000 }, (_, position) => position);
    cache.set("bytes", bytes);
    const first = cache.getBytes("bytes")!;
    equal(String(first), String(bytes));
    first.fill(0);
    equal(String(cache.getBytes("bytes")), String(bytes));
  },

  "the families answer": async () => {
    const cache = await initFerrite();
    equal(cache.incr("visits"), 1);
    equal(cache.hset("user", { name: "Ada", visits: 1 }), 2);
    equal(cache.hgetall("user"), { name: "Ada", visits: "1" });
    equal(cache.rpush("jobs", "a", "b"), 2);
    equal(cache.lrange("jobs", 0, -1), ["a", "b"]);
    equal(cache.sadd("tags", ["red"]), 1);
    equal([...cache.scanIterator()].sort(), ["jobs", "tags", "user", "visits"]);
    cache.setJson("json", { deep: [1, null, "\u00e9"] });
    equal(cache.getJson("json"), { deep: [1, null, "\u00e9"] });
    equal(cache.get("nobody"), null);
    equal(cache.get(null), null);
  },

  "a key expires by the clock": async () => {
    let now = 1_700_000_000_000;
    const cache = await initFerrite({ clock: { now: () => now } });
    cache.set("brief", "x", { ex: 60 });
    now += 59_999;
    equal(cache.pttl("brief"), 1);
    now += 2;
    equal(cache.get("brief"), null);
  },

  "the budget holds": async () => {
    const cache = await initFerrite({ maxMemory: "2mb" });
    for (let number = 0; number < 20_000; number++) cache.set(`key:${number}`, "v".repeat(500));
    const { used_memory: used, linear_memory: linear, evicted_keys: evicted } = cache.stats();
    equal(used <= 2 << 20, true);
    // Budget, half a MiB, and what the wasm itself takes: its stack, scratch area and data.
    equal(linear <= 4 << 20, true);
    equal(evicted > 10_000, true);
    equal(cache.get("key:19999"), "v".repeat(500));
  },

  "two caches know nothing of each other": async () => {
    const [one, other] = await Promise.all([initFerrite(), initFerrite()]);
    one.set("key", "one");
    equal(other.get("key"), null);
  },

  "bytes are shown where they stand": async () => {
    const cache = await initFerrite();
    cache.set("text", "a\u00e9");
    equal(cache.withBytes("text", (bytes) => bytes.join()), "97,195,169");
    throws(() => cache.withBytes("text", () => cache.get("text")), /cannot use the cache/);
    equal(cache.get("text"), "a\u00e9");
  },

  "responses come back, and are not what was written over them": async () => {
    const cache = await initFerrite({ maxMemory: "2mb" });
    for (const length of [0, 10, 10_000, 200_000]) {
      const body = "\u00e9\u6f22".repeat(length);
      const headers: [string, string][] = [["X-Kept", "yes"], ["Content-Type", "text/x-plain"]];
      const kept = await cache.putResponse("page", new Response(body, { status: 201, headers }));
      equal(kept, "OK");
      const response = cache.getResponse("page")!;
      for (let number = 0; number < 3000; number++) cache.set("page", `${number}`.repeat(600));
      equal([response.status, response.headers.get("X-Kept")], [201, "yes"]);
      equal(await response.text() === body, true);
    }
    await cache.putResponse("blob", new Response(new Blob(["b"], { type: "text/css" })));
    const type = cache.getResponse("blob")?.headers.get("content-type");
    equal(type?.startsWith("text/css"), true);
    const empty = await cache.putResponse("none", new Response(null, { status: 204 }));
    equal([empty, cache.getResponse("none")!.status], ["OK", 204]);
    equal(cache.getResponse("nobody"), null);
  },

  "several commands go in one call": async () => {
    const cache = await initFerrite();
    const replies = cache.multi([["set", "n", "1"], ["incr", "n"], ["get", "n"]]);
    equal(replies, ["OK", 2, "2"]);
  },

  "the entry that can compress is there, with the same classes": async () => {
    const cache = await compressed.initFerrite({ maxMemory: "2mb", compression: true });
    cache.set("text", "\u00e9".repeat(1000));
    equal(cache.get("text"), "\u00e9".repeat(1000));
    equal(compressed.FerriteError === FerriteError, true);
    await rejects(initFerrite({ compression: true } as never), /^ERR compression true: /);
  },

  "the lite entry is there, with strings and keys, and the same error": async () => {
    const cache = await lite.initFerrite({ maxMemory: "2mb" });
    for (let number = 0; number < 5000; number++) cache.set(`key:${number}`, "\u00e9".repeat(500));
    equal(cache.get("key:4999"), "\u00e9".repeat(500));
    equal(cache.stats().evicted_keys > 2000, true);
    equal(await cache.putResponse("page", new Response("body", { status: 201 })), "OK");
    equal(cache.getResponse("page")!.status, 201);
    equal(lite.FerriteError === FerriteError, true);
    throws(() => cache.call("lpush", "list", "a"), /^ERR unknown command 'lpush'/);
  },

  "errors are Redis's, and the package's": async () => {
    const cache = await initFerrite();
    cache.set("text", "x");
    throws(() => cache.incr("text"), /^ERR value is not an integer or out of range$/);
    throws(() => cache.lpush("text", "a"), /^WRONGTYPE /);
    await rejects(initFerrite({ maxMemory: "12 parsecs" }), /^ERR maxMemory "12 parsecs"/);
  },
};

function equal(given: unknown, expected: unknown): void {
  const [is, should] = [JSON.stringify(given), JSON.stringify(expected)];
  if (is !== should) {
    throw new Error(`expected ${should?.slice(0, 200)}, given ${is?.slice(0, 200)}`);
  }
}

function throws(action: () => unknown, message: RegExp): void {
  try {
    action();
  } catch (error) {
    return isFerrite(error, message);
  }
  throw new Error(`nothing was thrown like ${message}`);
}

async function rejects(promise: Promise<unknown>, message: RegExp): Promise<void> {
  return promise.then(() => { throw new Error(`nothing was thrown like ${message}`); },
    (error) => isFerrite(error, message));
}

function isFerrite(error: unknown, message: RegExp): void {
  if (error instanceof FerriteError && message.test(error.message)) return;
  throw new Error(`expected a FerriteError like ${message}, not ${error}`);
}

/** Runs everything. */
export async function run(): Promise<Report> {
  const report: Report = { transcripts: 0, requests: 0, checks: 0, failures: [] };
  const attempt = async (name: string, action: () => Promise<void> | void) => {
    try {
      await action();
    } catch (error) {
      report.failures.push(`${name}: ${error instanceof Error ? error.stack : error}`);
    }
  };
  const entries = [{ isLite: false, init: initFerrite }, { isLite: true, init: lite.initFerrite }];
  for (const { isLite, init } of entries) {
    for (const [name, text] of Object.entries(transcripts as Record<string, string>)) {
      if (isLeftOut(name, isLite)) continue;
      await attempt(name, async () => {
        const { replayed, failures } = await replay(init, text);
        report.transcripts++;
        report.requests += replayed;
        report.failures.push(...failures.map((failure) => `${name}:${failure}`));
      });
    }
  }
  for (const [name, action] of Object.entries(checks)) {
    await attempt(name, action);
    report.checks++;
  }
  return report;
}
