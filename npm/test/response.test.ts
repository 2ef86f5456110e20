// putResponse and getResponse, with the runtime's own Response.

import { FerriteError, initFerrite, type FerriteCache } from "@ferrite/edge";
import { describe, expect, it } from "vitest";
import { noKey, plain } from "./support";

const bytesOf = (response: Response) => response.clone().bytes?.() ??
  response.clone().arrayBuffer().then((buffer) => new Uint8Array(buffer));

/** A FerriteError with this message, from a promise. */
async function refusedLater(promise: Promise<unknown>, message: string | RegExp, code = "ERR") {
  const error: unknown = await promise.then(() => "no error", (thrown) => thrown);
  expect(error).toBeInstanceOf(FerriteError);
  expect((error as FerriteError).message).toMatch(message);
  expect((error as FerriteError).code).toBe(code);
}

/** Puts a response as often as it takes for its headers to be shared. */
async function putOften(cache: FerriteCache, make: () => Response): Promise<void> {
  for (let time = 0; time < 3; time++) {
    expect(await cache.putResponse(`k${time}`, make())).toBe("OK");
  }
}

const headers: [string, string][] = [
  ["cache-control", "max-age=60"], ["content-type", "text/html; charset=utf-8"],
  ["etag", "\"abc\""], ["vary", "Accept-Encoding"], ["x-empty", ""],
];

describe("a response that was put", () => {
  // Lengths on both sides of where reading takes one piece more.
  const lengths = [0, 1, 1000, 32_767, 32_768, 32_769, 163_840, 300_000];
  it.each(lengths)("is as it was, with %i bytes of body", async (length) => {
    const cache = await initFerrite();
    const body = Uint8Array.from({ length }, (_, at) => at * 7);
    await putOften(cache, () => new Response(body, {
      status: 404, statusText: "Not \u00c4 Here", headers,
    }));
    for (const key of ["k0", "k1", "k2", "k2"]) {
      const response = cache.getResponse(key)!;
      expect([response.status, response.statusText]).toEqual([404, "Not \u00c4 Here"]);
      expect([...response.headers]).toEqual(headers);
      expect(await bytesOf(response)).toEqual(body);
    }
  });

  it("is a new one each time, and everybody's own", async () => {
    const cache = await initFerrite();
    await putOften(cache, () => new Response("body", { headers }));
    const first = cache.getResponse("k2")!;
    first.headers.set("x-mine", "1");
    first.headers.delete("vary");
    expect(await first.text()).toBe("body");
    const second = cache.getResponse("k2")!;
    expect([...second.headers]).toEqual(headers);
    // Its body is a copy, whatever becomes of the memory it came from.
    cache.flushdb();
    for (let at = 0; at < 1000; at++) cache.set(`x${at}`, "x".repeat(1000));
    expect(await second.text()).toBe("body");
    expect(cache.getResponse("k2")).toBe(null);
    expect(cache.getResponse(null)).toBe(null);
  });

  it("keeps cookies apart, and what is not ASCII", async () => {
    const cache = await initFerrite();
    const cookies = ["a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "b=2"];
    await putOften(cache, () => {
      const response = new Response("", { headers: { "x-name": "caf\u00e9" } });
      for (const cookie of cookies) response.headers.append("set-cookie", cookie);
      return response;
    });
    for (const key of ["k0", "k2"]) {
      const response = cache.getResponse(key)!;
      expect(response.headers.getSetCookie()).toEqual(cookies);
      expect(response.headers.get("x-name")).toBe("caf\u00e9");
    }
  });

  it.each([204, 205, 304])("may have status %i, and then has no body", async (status) => {
    const cache = await initFerrite();
    await putOften(cache, () => new Response(null, { status, headers }));
    const response = cache.getResponse("k2")!;
    expect([response.status, response.body]).toEqual([status, null]);
    expect(response.headers.get("etag")).toBe("\"abc\"");
  });

  it("may be a redirect, or the answer to HEAD", async () => {
    const cache = await initFerrite();
    await cache.putResponse("r", Response.redirect("https://example.com/there", 301));
    const redirect = cache.getResponse("r")!;
    expect([redirect.status, redirect.headers.get("location")])
      .toEqual([301, "https://example.com/there"]);
    await cache.putResponse("h", new Response(null, { headers }));
    expect(cache.getResponse("h")!.body).toBe(null);
  });

  it("has headers of the body, not of the connection or of a coding that is gone", async () => {
    const cache = await initFerrite();
    await cache.putResponse("k", new Response("body", { headers: {
      "Content-Length": "4", "Connection": "keep-alive",
      "Keep-Alive": "timeout=5", "X-Kept": "1",
    } }));
    const { headers } = cache.getResponse("k")!;
    for (const name of ["content-length", "connection", "keep-alive"]) {
      expect(headers.has(name), name).toBe(false);
    }
    expect(headers.get("x-kept")).toBe("1");
    await cache.putResponse("k", new Response("body", { headers: { "Content-Encoding": "dcz" } }));
    expect(cache.getResponse("k")!.headers.get("content-encoding")).toBe("dcz");
    // Nobody has decoded what was not fetched; of what was fetched the bytes are decoded.
    for (const [url, coding] of [["", "gzip"], ["https://example.com/", null]] as const) {
      const response = new Response("body", { headers: { "Content-Encoding": "gzip" } });
      Object.defineProperty(response, "url", { value: url });
      await cache.putResponse("k", response);
      expect(cache.getResponse("k")!.headers.get("content-encoding")).toBe(coding);
    }
  });

  it("is one of more kinds than are shared, and none is mistaken for another", async () => {
    const cache = await initFerrite();
    const kinds = 700;
    for (let round = 0; round < 3; round++) {
      for (let kind = 0; kind < kinds; kind++) {
        await cache.putResponse(`k${kind}`, new Response(`body ${kind}`, {
          headers: { "x-kind": `${kind}`, "etag": `${round}`, "x-long": "x".repeat(kind * 10) },
        }));
      }
    }
    for (let kind = 0; kind < kinds; kind++) {
      const response = cache.getResponse(`k${kind}`)!;
      expect([response.headers.get("x-kind"), response.headers.get("etag")])
        .toEqual([`${kind}`, "2"]);
      expect(await response.text()).toBe(`body ${kind}`);
    }
  });

  it("expires, is evicted and copied as any value", async () => {
    let now = 1000;
    const cache = await initFerrite({ maxMemory: "1mb", clock: { now: () => now } });
    await cache.putResponse("k", new Response("body"), { px: 100 });
    expect(cache.pttl("k")).toBe(100);
    cache.copy("k", "copy");
    now = 1200;
    expect(cache.getResponse("k")).toBe(null);
    expect(cache.getResponse("copy")).toBe(null);
    for (let at = 0; at < 3000; at++) {
      await cache.putResponse(`k${at}`, new Response("x".repeat(1000), { headers }));
    }
    expect(cache.stats().evicted_keys).toBeGreaterThan(1000);
    expect(cache.getResponse("k0")).toBe(null);
    expect([...cache.getResponse("k2999")!.headers]).toEqual(headers);
  });

  it("is put on a condition", async () => {
    const cache = await initFerrite();
    expect(await cache.putResponse("k", new Response("1"), { xx: true })).toBe(null);
    expect(await cache.putResponse("k", new Response("2"), { nx: true, ex: 60 })).toBe("OK");
    expect(await cache.putResponse("k", new Response("3"), { nx: true })).toBe(null);
    expect(await cache.getResponse("k")!.text()).toBe("2");
    expect(cache.ttl("k")).toBe(60);
  });

  it("can go out meanwhile, as a clone of what is kept", async () => {
    const cache = await initFerrite();
    const response = new Response("body", { headers });
    const kept = cache.putResponse("k", response.clone());
    response.headers.set("x-cache", "MISS");
    expect(await response.text()).toBe("body");
    expect(await kept).toBe("OK");
    expect([...cache.getResponse("k")!.headers]).toEqual(headers);
  });
});

/** Streams of anything, and of bytes, of which more can be asked for at once. */
const kinds = ["default", "bytes"] as const;

/** A body of so many chunks of a kilobyte, which then may fail; and how it was let go. */
function stream(kind: (typeof kinds)[number], chunks: number, error?: Error) {
  const state = { given: 0, cancelled: false };
  const body = new ReadableStream({
    ...(kind === "bytes" ? { type: plain(kind) } : {}),
    pull(controller) {
      if (state.given++ < chunks) controller.enqueue(new Uint8Array(1024).fill(state.given));
      else if (error) controller.error(error);
      else controller.close();
    },
    cancel() {
      state.cancelled = true;
    },
  });
  return { state, response: new Response(body) };
}

describe("putResponse", () => {
  it.each(kinds)("reads bodies that come in pieces: %s", async (kind) => {
    const cache = await initFerrite();
    for (const chunks of [1, 3, 16, 17, 200]) {
      expect(await cache.putResponse("k", stream(kind, chunks).response)).toBe("OK");
      const bytes = await bytesOf(cache.getResponse("k")!);
      expect(bytes.length).toBe(1024 * chunks);
      expect(bytes.every((byte, at) => byte === ((at >> 10) + 1) % 256)).toBe(true);
    }
  });

  it.each(kinds)("keeps nothing of a body that fails: %s", async (kind) => {
    const cache = await initFerrite();
    const cause = new Error("the origin is gone");
    await refusedLater(cache.putResponse("k", stream(kind, 3, cause).response),
      "ERR the body could not be read to its end, and is not kept");
    expect(cache.exists("k")).toBe(0);
    cache.set("k", "before");
    await expect(cache.putResponse("k", stream(kind, 30, cause).response))
      .rejects.toMatchObject({ cause });
    expect(cache.get("k")).toBe("before");
  });

  it.each(kinds)("reads little further than it may: %s", async (kind) => {
    const cache = await initFerrite();
    const { response, state } = stream(kind, 1_000_000);
    const long = "ERR the body is longer than 10000 bytes, and is not kept";
    const maxBodyBytes = 10_000;
    await refusedLater(cache.putResponse("k", response, { maxBodyBytes }), long);
    expect(state.given).toBeLessThan(40);
    expect(state.cancelled).toBe(true);
    const fits = stream(kind, 10).response;
    expect(await cache.putResponse("k", fits, { maxBodyBytes: 10_240 })).toBe("OK");
  });

  it("reads a body at once whose length is told, and believes nobody", async () => {
    const cache = await initFerrite();
    const body = Uint8Array.from({ length: 20_000 }, (_, at) => at * 7);
    const told = (length: string) => new Response(body, { headers: { "content-length": length } });
    for (const length of ["20000", "3", "99999999", "", "many"]) {
      expect(await cache.putResponse("k", told(length))).toBe("OK");
      expect(await bytesOf(cache.getResponse("k")!)).toEqual(body);
      await refusedLater(cache.putResponse("j", told(length), { maxBodyBytes: 19_999 }),
        "ERR the body is longer than 19999 bytes, and is not kept");
    }
    const headers = { "content-length": "3072" };
    const cause = new Error("the origin is gone");
    const failing = new Response(stream("default", 3, cause).response.body, { headers });
    await expect(cache.putResponse("j", failing)).rejects.toMatchObject({ cause });
    expect(cache.exists("j")).toBe(0);
  });

  it("keeps nothing that does not fit", async () => {
    const cache = await initFerrite({ maxMemory: "1mb", evictionPolicy: "noeviction" });
    await refusedLater(cache.putResponse("k", new Response("x".repeat(2 << 20))), /^OOM/, "OOM");
    expect(cache.exists("k")).toBe(0);
    expect(cache.stats().instance_resets).toBe(0);
  });

  it("refuses what cannot be read, or built again", async () => {
    const cache = await initFerrite();
    const used = new Response("body");
    await used.text();
    const wasRead = /^ERR the body of this response was read already/;
    await refusedLater(cache.putResponse("k", used), wasRead);
    const locked = new Response("body");
    locked.body!.getReader();
    await refusedLater(cache.putResponse("k", locked), wasRead);
    await refusedLater(cache.putResponse("k", Response.error()),
      "ERR a response with status 0 cannot be kept");
    for (const wrong of [null, undefined, "body", {}, new Request("https://example.com")]) {
      await refusedLater(cache.putResponse("k", plain(wrong)),
        /^ERR argument 2 of 'putResponse' must be a Response, not [A-Z]/);
    }
    expect(cache.dbsize()).toBe(0);
  });

  it("refuses wrong keys and options before it reads anything", async () => {
    const cache = await initFerrite();
    const response = new Response("body");
    await refusedLater(cache.putResponse(plain(null), response), noKey);
    for (const options of [{ ttl: 1 }, { ex: 1, px: 1 }, { get: true }, { nx: true, xx: true }]) {
      await refusedLater(cache.putResponse("k", response, plain(options)),
        /^ERR syntax error in option "\w+" of 'putResponse'$/);
    }
    await refusedLater(cache.putResponse("k", response, { ex: plain("1") }), /not an integer/);
    for (const maxBodyBytes of ["1kb", "5", NaN, -1, null, 5n]) {
      await refusedLater(cache.putResponse("k", response, { maxBodyBytes: plain(maxBodyBytes) }),
        "ERR syntax error in option \"maxBodyBytes\" of 'putResponse'");
    }
    expect(response.bodyUsed).toBe(false);
    expect(await cache.putResponse("k", response)).toBe("OK");
  });
});

describe("getResponse", () => {
  it("refuses what is no response", async () => {
    const cache = await initFerrite();
    await cache.putResponse("r", new Response("body", { headers }));
    const record = cache.getBytes("r")!;
    const notOne = "ERR value is not a response";
    for (const value of [
      "", "text", "x".repeat(100), record.subarray(0, 19), record.subarray(0, 25),
      record.subarray(1),
    ]) {
      cache.set("k", value);
      expect(() => cache.getResponse("k")).toThrow(notOne);
    }
    cache.rpush("list", "a");
    expect(() => cache.getResponse("list")).toThrow(/^WRONGTYPE/);
    expect(cache.stats().instance_resets).toBe(0);
  });

  it("does not take another cache's shared headers for its own", async () => {
    const [one, other] = [await initFerrite(), await initFerrite()];
    await putOften(one, () => new Response("1", { headers: { "x-of": "one" } }));
    await putOften(other, () => new Response("2", { headers: { "x-of": "other" } }));
    other.set("moved", one.getBytes("k2")!);
    expect(() => other.getResponse("moved")).toThrow(/^ERR value is a response that another cache/);
    // Where they stand in the record, it can be moved.
    other.set("moved", one.getBytes("k0")!);
    expect(other.getResponse("moved")!.headers.get("x-of")).toBe("one");
  });
});
