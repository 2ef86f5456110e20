// The Worker in Rust inside workerd, in front of an origin that counts.

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, expect, it } from "vitest";
import { startOrigin, until } from "../fastly/viceroy.js";
import { serve } from "../runtimes/process.js";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const build = path("../../examples-workers-rs/build/");
const workerd = path("../../node_modules/.bin/workerd");
let origin;
let worker;

/** What wrangler would make of the example's configuration, with an origin of the test's own. */
const config = (seconds) => `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [
    (name = "index.js", esModule = embed "index.js"),
    (name = "index_bg.wasm", wasm = embed "index_bg.wasm"),
  ],
  bindings = [
    (name = "ORIGIN", text = "${origin.url}"),
    (name = "PAGE_SECONDS", text = "${seconds}"),
  ],
  compatibilityDate = "2026-08-04",
);
`;

async function start({ pages, seconds = 60 } = {}) {
  origin = await startOrigin(pages);
  writeFileSync(`${build}test.capnp`, config(seconds));
  const words = ["serve", "--control-fd=1", "test.capnp"];
  worker = await serve(workerd, words, /"port":(\d+)/, { cwd: build });
}

async function get(path, init) {
  const response = await fetch(worker.url.replace(/\/$/, "") + path, init);
  const [text, cache] = [await response.text(), response.headers.get("x-cache")];
  return { status: response.status, cache, text, type: response.headers.get("content-type") };
}

afterEach(async () => {
  await worker?.stop();
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
