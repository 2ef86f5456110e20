// The Worker, inside workerd, in front of the real origin. Each test asks under a query of its own,
// so that what another test left in the cache is not in its way.

import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { afterEach, describe, expect, inject, it, vi } from "vitest";
import worker from "../src/index.js";

declare module "vitest" {
  interface ProvidedContext {
    origin: string;
  }
}

type Incoming = Parameters<typeof worker.fetch>[0];

const origin = inject("origin");

async function ask(path: string, init?: RequestInit, from = origin) {
  const context = createExecutionContext();
  const request = new Request(`https://example.com${path}`, init) as Incoming;
  const response = await worker.fetch(request, { ORIGIN: from }, context);
  const body = new Uint8Array(await response.arrayBuffer());
  await waitOnExecutionContext(context);
  return {
    status: response.status, headers: response.headers, how: response.headers.get("X-Cache"),
    body, text: new TextDecoder().decode(body),
  };
}

async function timesAsked(path: string): Promise<number> {
  const counts: Record<string, number> = await (await fetch(`${origin}/__origin/counts`)).json();
  return counts[path] ?? 0;
}

afterEach(() => {
  vi.useRealTimers();
});

describe("what may be kept", () => {
  it.each([["/", 200], ["/products.json", 200], ["/logo.svg", 200], ["/old", 301],
    ["/nothing-here", 404]])("%s comes from the origin once", async (path, status) => {
    const first = await ask(path);
    const second = await ask(path);
    expect([first.how, second.how]).toEqual(["MISS", "HIT"]);
    expect([first.status, second.status]).toEqual([status, status]);
    expect(second.body.length).toBeGreaterThan(0);
    expect(second.body).toEqual(first.body);
    for (const name of ["Content-Type", "Location", "ETag", "Cache-Control"]) {
      expect(second.headers.get(name)).toBe(first.headers.get(name));
    }
    expect(second.headers.get("Content-Encoding")).toBeNull();
    expect(second.headers.get("Age")).toBe("0");
    expect(await timesAsked(path)).toBe(1);
  });

  it("is another entry for another query", async () => {
    expect((await ask("/nothing-here?query=1")).how).toBe("MISS");
    expect((await ask("/nothing-here?query=2")).how).toBe("MISS");
    expect((await ask("/nothing-here?query=1")).how).toBe("HIT");
  });

  it("ages, and is gone when its time is over", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: 1_800_000_000_000 });
    await ask("/nothing-here?expiry"); // max-age=10
    vi.setSystemTime(1_800_000_009_000);
    const old = await ask("/nothing-here?expiry");
    expect([old.how, old.headers.get("Age")]).toEqual(["HIT", "9"]);
    vi.setSystemTime(1_800_000_010_001);
    expect((await ask("/nothing-here?expiry")).how).toBe("MISS");
  });

  it("answers HEAD without a body, but is not filled by it", async () => {
    expect((await ask("/nothing-here?head", { method: "HEAD" })).how).toBe("MISS");
    expect((await ask("/nothing-here?head")).how).toBe("MISS");
    const head = await ask("/nothing-here?head", { method: "HEAD" });
    expect([head.how, head.status, head.text]).toEqual(["HIT", 404, ""]);
  });

  it("answers a visitor who has it already with 304", async () => {
    await ask("/logo.svg");
    const etag = (await ask("/logo.svg")).headers.get("ETag") ?? "";
    expect(etag).not.toBe("");
    const again = await ask("/logo.svg", { headers: { "If-None-Match": etag } });
    expect([again.how, again.status, again.text]).toEqual(["HIT", 304, ""]);
    const other = await ask("/logo.svg", { headers: { "If-None-Match": '"other"' } });
    expect([other.how, other.status]).toEqual(["HIT", 200]);
  });
});

describe("what may not be kept", () => {
  const passed = ["/account.json", "/cart.json", "/welcome"];
  it.each(passed)("%s always comes from the origin", async (path) => {
    const before = await timesAsked(path);
    expect((await ask(path)).how).toBe("BYPASS");
    expect((await ask(path)).how).toBe("BYPASS");
    expect(await timesAsked(path)).toBe(before + 2);
  });

  it.each<RequestInit>([
    { headers: { Authorization: "Basic YTpi" } }, { headers: { Range: "bytes=0-3" } },
    { headers: { "Cache-Control": "no-cache" } }, { method: "POST", body: "x" },
  ])("%j neither reads nor fills the cache", async (init) => {
    const path = `/nothing-here?${encodeURIComponent(JSON.stringify(init))}`;
    expect((await ask(path, init)).how).toBe("BYPASS");
    expect((await ask(path)).how).toBe("MISS");
    expect((await ask(path, init)).how).toBe("BYPASS");
  });

  it.each([
    ["a body", "/download", 6 << 20],
    ["a path", `/${"k".repeat(9000)}`, "There is nothing here.\n".length],
  ])("%s over the limit is served all the same", async (_, path, bytes) => {
    const first = await ask(path);
    const second = await ask(path);
    expect([first.how, second.how]).toEqual(["MISS", "MISS"]);
    expect([first.body.length, second.body.length]).toEqual([bytes, bytes]);
  });
});

it("says 502 when the origin is down, and serves on what it has", async () => {
  await ask("/nothing-here?down");
  const nobody = "http://127.0.0.1:1";
  expect((await ask("/nothing-here?down", undefined, nobody)).how).toBe("HIT");
  const down = await ask("/nothing-here?down-too", undefined, nobody);
  expect([down.status, down.text]).toEqual([502, "502: the origin does not answer\n"]);
});

it("tells its stats", async () => {
  const stats = async () => JSON.parse((await ask("/__ferrite/stats")).text);
  const before = await stats();
  await ask("/nothing-here?stats");
  await ask("/nothing-here?stats");
  const after = await stats();
  expect(after.keyspace_hits - before.keyspace_hits).toBe(1);
  expect(after.keyspace_misses - before.keyspace_misses).toBe(1);
  expect(after.used_memory).toBeLessThanOrEqual(after.maxmemory);
  expect(after.maxmemory).toBe(64 << 20);
});
