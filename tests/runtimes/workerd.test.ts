// workerd itself, without wrangler or miniflare around it: what Cloudflare runs.

import { build } from "esbuild";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { consumer, root } from "./consumer.js";
import { serve } from "./process.js";
import { passes } from "./support.js";

const folder = join(consumer, "workerd");
const dist = join(consumer, "node_modules/@ferrite/edge/dist");
const wasms = ["ferrite.wasm", "ferrite-compressed.wasm", "ferrite-lite.wasm"];

/** `older` has no Buffer, which workerd offers unasked from 2026-08-04 on. */
const dates = { newer: "2026-08-04", older: "2025-06-01" };

const config = (date: string) => `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [
    (name = "worker.js", esModule = embed "worker.js"),
    ${wasms.map((name) => `(name = "${name}", wasm = embed "${name}"),`).join("\n    ")}
  ],
  compatibilityDate = "${date}",
);
`;

it.each(Object.entries(dates))("workerd, a compatibility date that is %s", async (name, date) => {
  mkdirSync(folder, { recursive: true });
  await build({
    absWorkingDir: consumer, entryPoints: ["worker.js"], outdir: folder, bundle: true,
    format: "esm", target: "es2022", conditions: ["workerd", "worker", "browser"],
    external: ["*.wasm"], logLevel: "warning",
  });
  for (const name of wasms) cpSync(join(dist, name), join(folder, name));
  writeFileSync(join(folder, `${name}.capnp`), config(date));
  const words = ["serve", "--control-fd=1", `${name}.capnp`];
  const workerd = join(root, "node_modules/.bin/workerd");
  const server = await serve(workerd, words, /"port":(\d+)/, { cwd: folder });
  try {
    for (const expected of [1, 2]) {
      const { visits, ...report } = await (await fetch(server.url)).json();
      expect(visits).toBe(expected);
      passes(report);
    }
  } finally {
    await server.stop();
  }
});
