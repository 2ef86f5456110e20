// The Worker in Rust inside workerd, in front of an origin that counts.

import { afterEach, expect, it } from "vitest";
import { unstable_startWorker } from "wrangler";
import { startOrigin, until } from "../fastly/viceroy.js";

const folder = new URL("../../examples-workers-rs/build/", import.meta.url).pathname;
let origin;
let worker;

async function start({ pages, seconds = 60 } = {}) {
  origin = await startOrigin(pages);
  worker = await unstable_startWorker({
    name: "example",
    entrypoint: `${folder}index.js`,
    compatibilityDate: "2026-08-04",
    build: { bundle: false, moduleRules: [{ type: "CompiledWasm", globs: ["**/*.wasm"] }] },
    bindings: {
      ORIGIN: { type: "plain_text", value: origin.url },
      PAGE_SECONDS: { type: "plain_text", value: String(seconds) },
    },
    dev: { server: { hostname: "127.0.0.1", port: 0 }, inspector: false, watch: false },
  });
  await worker.ready;
}

async function get(path, init) {
  const response = await worker.fetch(`http://worker${path}`, init);
  const [text, cache] = [await response.text(), response.headers.get("x-cache")];
  return { status: response.status, cache, text, type: response.headers.get("content-type") };
}

afterEach(async () => {
  await worker?.dispose();
  await origin?.stop();
});

it("keeps pages in the memory of the isolate, bytes and all", async () => {
  const page = "caf\u00e9 \u0000 \ud83d\ude00\n".repeat(10_000);
  await start({ pages: { "/page": page } });
  expect(await get("/page")).toMatchObject({ status: 200, cache: "MISS", type: "text/plain" });
  for (let i = 0; i < 7; i++) {
    const hit = await get("/page");
    expect(hit).toMatchObject({ status: 200, cache: "HIT", type: "text/plain" });
    expect(hit.text === page).toBe(true);
  }
  expect(origin.count("/page")).toBe(1);
  const stats = (await get("/__ferrite/stats")).text;
  expect(stats).toContain("maxmemory:33554432\n");
  expect(stats).toContain("keyspace_hits:7\n");
  expect(stats).toContain("visits of /page:8\n");
});

it("asks again after the time to live, and not before", async () => {
  await start({ seconds: 1 });
  const begin = performance.now();
  expect((await get("/short")).cache).toBe("MISS");
  await until(async () => (await get("/short")).cache === "MISS");
  expect(performance.now() - begin).toBeGreaterThan(900);
  expect(origin.count("/short")).toBe(2);
});

it("keeps nothing of what is not for keeping", async () => {
  await start({ pages: { "/gone": 404, "/ill": (count) => (count === 1 ? 503 : "well") } });
  for (let i = 1; i <= 2; i++) {
    expect(await get("/gone")).toMatchObject({ status: 404, cache: "BYPASS" });
    expect(origin.count("/gone")).toBe(i);
  }
  expect(await get("/ill")).toMatchObject({ status: 503, cache: "BYPASS" });
  expect(await get("/ill")).toMatchObject({ status: 200, cache: "MISS", text: "well" });
  expect((await get("/page?q=1")).status).toBe(405);
  expect((await get("/page", { method: "POST", body: "x" })).status).toBe(405);
});

it("serves what is kept while its origin is down", async () => {
  await start();
  await get("/page");
  await origin.stop();
  expect(await get("/page")).toMatchObject({ cache: "HIT", text: "the page /page" });
  expect((await get("/other")).status).toBe(502);
});
