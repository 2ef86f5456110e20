// Bodies in a coding: each runtime decodes others of them, and what is kept is true in all: the
// bytes are in the coding that the header names, or in none.
// Invariant: the origin is here, and what a Worker sends is read as it comes.

import { build } from "esbuild";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer, get } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import * as zlib from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { consumer, find, nodes, root } from "./consumer.js";
import { output, serve } from "./process.js";
import { needs } from "./support.js";

const text = "hello world ".repeat(100);
const encode: Record<string, (text: string) => Uint8Array> = {
  gzip: zlib.gzipSync, deflate: zlib.deflateSync, br: zlib.brotliCompressSync,
  zstd: zlib.zstdCompressSync,
};
const decode: Record<string, (bytes: Uint8Array) => Buffer> = {
  gzip: zlib.gunzipSync, deflate: zlib.inflateSync, br: zlib.brotliDecompressSync,
  zstd: zlib.zstdDecompressSync,
};
const codings = Object.keys(encode);

const origin = createServer((request, response) => {
  const coding = request.url!.slice(1);
  response.writeHead(200, { "content-encoding": coding, "content-type": "text/plain" });
  response.end(encode[coding]!(text));
});
let address = "";
beforeAll(async () => {
  await new Promise<void>((listening) => { origin.listen(0, "127.0.0.1", listening); });
  address = `127.0.0.1:${(origin.address() as AddressInfo).port}`;
});
afterAll(() => { origin.close(); });

const textOf = (coding: string | null | undefined, body: Uint8Array) => (
  coding ? decode[coding]!(body) : Buffer.from(body)).toString();

async function keepsTrue(program: string, words: string[]): Promise<void> {
  const all = [...words, "codings.mjs", `http://${address}`, ...codings];
  const kept = JSON.parse(await output(program, all, { cwd: consumer })) as
    { coding: string | null; body: number[] }[];
  expect(kept.map(({ coding, body }) => textOf(coding, Uint8Array.from(body))))
    .toEqual(codings.map(() => text));
}

describe("bodies in a coding are kept as they are", () => {
  it.each(nodes)("in Node $version", ({ path }) => keepsTrue(path, []));
  const [deno, bun] = [find("deno"), find("bun")];
  needs("in Deno", deno, () => keepsTrue(deno!, ["run", "--quiet", "--allow-net"]));
  needs("in Bun", bun, () => keepsTrue(bun!, []));

  it("in workerd, which codes what it sends unless told", async () => {
    const folder = join(consumer, "codings");
    mkdirSync(folder, { recursive: true });
    await build({
      absWorkingDir: consumer, entryPoints: ["codings-worker.js"], outdir: folder, bundle: true,
      format: "esm", target: "es2022", conditions: ["workerd"], external: ["*.wasm"],
      logLevel: "warning",
    });
    const wasm = join(consumer, "node_modules/@ferrite/edge/dist/ferrite.wasm");
    copyFileSync(wasm, join(folder, "ferrite.wasm"));
    writeFileSync(join(folder, "config.capnp"), `
      using Workerd = import "/workerd/workerd.capnp";
      const config :Workerd.Config = (
        services = [
          (name = "main", worker = .worker),
          (name = "origin", external = (address = "${address}", http = ())),
        ],
        sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
      );
      const worker :Workerd.Worker = (
        modules = [
          (name = "worker.js", esModule = embed "codings-worker.js"),
          (name = "ferrite.wasm", wasm = embed "ferrite.wasm"),
        ],
        bindings = [(name = "origin", service = "origin")],
        compatibilityDate = "2026-08-04",
      );
    `);
    const server = await serve(join(root, "node_modules/.bin/workerd"),
      ["serve", "--control-fd=1", "config.capnp"], /"port":(\d+)/, { cwd: folder });
    try {
      for (const path of codings.flatMap((name) => [name, `${name}?manual`, `${name}?own`])) {
        const { coding, body } = await raw(new URL(path, server.url));
        expect(textOf(coding, body), path).toBe(text);
      }
    } finally {
      await server.stop();
    }
  });
});

/** A response as it comes, which no fetch gives. */
function raw(url: URL): Promise<{ coding: string | undefined; body: Uint8Array }> {
  return new Promise((resolve, reject) => {
    get(url, { headers: { "accept-encoding": "gzip, br, deflate, zstd" } }, async (response) => {
      try {
        const body = Buffer.concat(await response.toArray());
        resolve({ coding: response.headers["content-encoding"], body });
      } catch (error) {
        reject(error);
      }
    }).on("error", reject);
  });
}
