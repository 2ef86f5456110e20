// What the tests share: an origin that counts, and Viceroy in front of it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect, createServer as createPort } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const wasmFolder = new URL("../../target/wasm32-wasip1/release/", import.meta.url).pathname;
const secondsToStart = 60;

/** A site that counts what it is asked, and answers as its `pages` say: a text, a status, or a
 * function that comes to one of them. What it has no page for is answered with its path. */
export async function startOrigin(pages = {}) {
  const counts = {};
  const server = createServer(async (request, response) => {
    const path = request.url;
    counts[path] = (counts[path] ?? 0) + 1;
    const page = pages[path] ?? `the page ${path}`;
    const answer = typeof page === "function" ? await page(counts[path]) : page;
    if (typeof answer === "number") response.statusCode = answer;
    response.setHeader("Content-Type", "text/plain");
    response.end(typeof answer === "number" ? "" : answer);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    pages,
    count: (path) => counts[path] ?? 0,
    stop: () => new Promise((done) => { server.close(done); server.closeAllConnections(); }),
  };
}

async function freePort() {
  const server = createPort();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** Viceroy with a program and its backends, each with the URL of an origin. */
export async function startViceroy(program, backends) {
  const folder = mkdtempSync(join(tmpdir(), "ferrite-viceroy-"));
  const port = await freePort();
  const sections = Object.entries(backends)
    .map(([name, url]) => `[local_server.backends.${name}]\nurl = "${url}"\n`);
  writeFileSync(join(folder, "fastly.toml"), `manifest_version = 3\n${sections.join("")}`);
  const child = spawn("viceroy", [
    "serve", "-C", join(folder, "fastly.toml"), "--addr", `127.0.0.1:${port}`,
    join(wasmFolder, `${program}.wasm`),
  ], { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  child.stdout.on("data", (data) => { log += data; });
  child.stderr.on("data", (data) => { log += data; });
  const ended = once(child, "exit");
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`viceroy ended:\n${log}`);
    return canConnect(port);
  }, secondsToStart);
  return {
    /** Status, cache header, refusal and text of an answer. */
    async get(path, init) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
      const text = await response.text();
      const header = (name) => response.headers.get(name);
      return { status: response.status, cache: header("x-cache"), refusal: header("x-refusal"), text };
    },
    log: () => log,
    async stop() {
      child.kill();
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

function canConnect(port) {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => { socket.destroy(); done(true); });
    socket.once("error", () => done(false));
  });
}

/** Asks until it is so, and says what came last if that takes too long. */
export async function until(check, seconds = 20) {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`not within ${seconds} s`);
    await new Promise((done) => { setTimeout(done, 20); });
  }
}
