// A real Worker that calls initFerrite at its global scope, in workerd and without a test runner
// inside: there time is 0, random numbers throw, and bytes do not compile.

import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

const dist = new URL("../dist/", import.meta.url);
// The entries for Workers, and what entries share.
const files = readdirSync(dist).filter((file) => /^((lite-)?workerd|shared-.*)\.js$/.test(file));

const worker = (entry: string) => `
  import { initFerrite } from "./${entry}.js";
  let drew;
  try { drew = String(crypto.getRandomValues(new Uint8Array(1))); } catch { drew = "refused"; }
  const atStart = { time: Date.now(), drew };
  const cache = await initFerrite({ maxMemory: "4mb" });
  export default {
    fetch() {
      const visits = cache.incr("visits");
      cache.set("k", "v", { px: 60_000 });
      return Response.json({ ...atStart, visits, value: cache.get("k"), pttl: cache.pttl("k") });
    },
  };
`;

const entries = { workerd: "ferrite.wasm", "lite-workerd": "ferrite-lite.wasm" };

it.each(Object.entries(entries))("%s works, and keeps its cache from request to request", async (
  entry, wasm,
) => {
  const miniflare = new Miniflare(convertV4MiniflareOptions({
    compatibilityDate: "2026-08-04",
    cf: false,
    modules: [
      { type: "ESModule", path: "worker.js", contents: worker(entry) },
      ...files.filter((path) => path === `${entry}.js` || path.startsWith("shared-"))
        .map((path) => ({
          type: "ESModule" as const, path, contents: readFileSync(new URL(path, dist), "utf8"),
        })),
      { type: "CompiledWasm", path: wasm, contents: readFileSync(new URL(wasm, dist)) },
    ],
  }));
  try {
    for (const visits of [1, 2]) {
      const response = await miniflare.dispatchFetch("http://localhost/");
      const { pttl, ...rest } = await response.json() as { pttl: number };
      expect(rest).toEqual({ time: 0, drew: "refused", visits, value: "v" });
      // Only in production does the clock stand still between two lines.
      expect(pttl).toBeGreaterThan(55_000);
      expect(pttl).toBeLessThanOrEqual(60_000);
    }
  } finally {
    await miniflare.dispose();
  }
});
