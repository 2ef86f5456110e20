// The Vercel example in Next, in development and built by both bundlers: what it does, and the
// suite in a Node route and in an edge route that are added to it.

import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import type { Server as Origin } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, join } from "node:path";
import { expect } from "vitest";
import { consumer, root } from "./consumer.js";
import { output, serve, type Server } from "./process.js";
import { needs, passes } from "./support.js";
// @ts-expect-error: the example's origin is plain JavaScript
import { startOrigin } from "../../examples-vercel/origin/server.js";

const example = join(root, "examples-vercel");
const modules = join(example, "node_modules");
const cwd = join(consumer, "../next");
const isInstalled = existsSync(join(modules, "next"));

/** The example, its modules, the package as the consumer installed it, and two routes more. */
function makeApp(): void {
  rmSync(cwd, { recursive: true, force: true });
  const left = ["node_modules", ".next"];
  cpSync(example, cwd, { recursive: true, filter: (path) => !left.includes(basename(path)) });
  // As links where that is possible: Next takes no module from outside its project.
  try {
    execFileSync("cp", ["-al", modules, cwd], { stdio: "ignore" });
  } catch {
    cpSync(modules, join(cwd, "node_modules"), { recursive: true });
  }
  rmSync(join(cwd, "node_modules/@ferrite"), { recursive: true });
  cpSync(join(consumer, "node_modules/@ferrite"), join(cwd, "node_modules/@ferrite"),
    { recursive: true });
  cpSync(join(consumer, "suite.js"), join(cwd, "suite.js"));
  for (const runtime of ["nodejs", "edge"]) {
    mkdirSync(join(cwd, "app/api/suite", runtime), { recursive: true });
    writeFileSync(join(cwd, "app/api/suite", runtime, "route.ts"), `
      import { run } from "../../../../suite.js";
      export const runtime = "${runtime}";
      // What reads its request is not answered already when the app is built.
      export const GET = async ({ url }: Request) => Response.json({ url, ...await run() });
    `);
  }
}

async function ask(url: string, visitor = "203.0.113.1") {
  const response = await fetch(url, { headers: { "x-forwarded-for": visitor } });
  const { status, headers } = response;
  return { status, how: headers.get("X-Cache"), headers, text: await response.text() };
}

async function keepsData(app: string, origin: string): Promise<void> {
  for (const path of ["/api/cached-data", "/api/edge/cached-data"]) {
    const key = `k\u00e9y ${path}`;
    const url = `${app}${path}?key=${encodeURIComponent(key)}`;
    const first = await ask(url);
    const second = await ask(url);
    expect([first.status, first.how, second.status, second.how]).toEqual([200, "MISS", 200, "HIT"]);
    expect(second.text).toBe(JSON.stringify({ key, asked: 1 }));
    expect(first.text).toBe(second.text);
    const counts = await (await fetch(`${origin}/counts`)).json();
    expect(counts[encodeURIComponent(key)]).toBe(1);
    expect((await ask(`${app}${path}`)).status).toBe(400);
  }
}

/** The proxy counts a visitor's requests, of which it lets a hundred pass in a minute. */
async function limitsVisitors(app: string): Promise<void> {
  const url = `${app}/api/cached-data`;
  for (let count = 1; count <= 100; count++) {
    expect((await ask(url, "203.0.113.2")).status).toBe(400);
  }
  const refused = await ask(url, "203.0.113.2");
  expect([refused.status, refused.text]).toEqual([429, "Too Many Requests\n"]);
  const seconds = Number(refused.headers.get("Retry-After"));
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThanOrEqual(60);
  expect((await ask(url, "203.0.113.3")).status).toBe(400);
}

async function servesWithoutOrigin(app: string, origin: Origin): Promise<void> {
  const stopped = new Promise((resolve) => origin.close(resolve));
  origin.closeAllConnections();
  await stopped;
  for (const path of ["/api/cached-data", "/api/edge/cached-data"]) {
    const kept = await ask(`${app}${path}?key=${encodeURIComponent(`k\u00e9y ${path}`)}`);
    expect([kept.status, kept.how]).toEqual([200, "HIT"]);
    expect((await ask(`${app}${path}?key=another`)).status).toBe(502);
  }
}

async function check(command: string): Promise<void> {
  const origin: Origin = await startOrigin(0);
  const address = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
  let app: Server | undefined;
  try {
    const words = [command, "--port", "0", "--hostname", "127.0.0.1"];
    const port = /http:\/\/127\.0\.0\.1:(\d+)[^]*Ready in/;
    app = await serve(join(cwd, "node_modules/.bin/next"), words, port,
      { cwd, env: { ORIGIN: address } });
    for (const runtime of ["nodejs", "edge"]) {
      const response = await fetch(`${app.url}/api/suite/${runtime}`);
      if (!response.ok) throw new Error(`${runtime}: ${response.status}\n${app.log()}`);
      const { url, ...report } = await response.json();
      expect(url).toContain(`/api/suite/${runtime}`);
      passes(report);
    }
    await keepsData(app.url, address);
    await limitsVisitors(app.url);
    await servesWithoutOrigin(app.url, origin);
  } finally {
    await app?.stop();
    origin.closeAllConnections();
    origin.close();
  }
}

if (isInstalled) makeApp();

needs("Next in development", isInstalled, () => check("dev"));

for (const bundler of ["turbopack", "webpack"]) {
  needs(`Next built by ${bundler}`, isInstalled, async () => {
    const next = join(cwd, "node_modules/.bin/next");
    await output(next, ["build", `--${bundler}`], { cwd, seconds: 240 });
    await check("start");
  }, 300);
}
