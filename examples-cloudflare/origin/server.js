// The site that the Worker stands in front of: a few real files, each with its own Cache-Control,
// and a count of the requests that each path got, told at /__origin/counts.
//   node origin/server.js [PORT]     (8788, the port that wrangler.jsonc names; 0 takes a free one)

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const read = (name) => readFileSync(new URL(`files/${name}`, import.meta.url));
const html = "text/html; charset=utf-8";
const json = "application/json";

// path: status, type, body, Cache-Control, further headers
const site = {
  "/": [200, html, read("index.html"), "public, max-age=60"],
  "/products.json": [200, json, read("products.json"), "max-age=0, s-maxage=300"],
  "/logo.svg": [200, "image/svg+xml", read("logo.svg"), "public, max-age=86400"],
  "/old": [301, html, "Moved.\n", "max-age=60", { Location: "/" }],
  "/account.json": [200, json, read("account.json"), "private, max-age=60"],
  "/cart.json": [200, json, read("cart.json"), "no-store"],
  "/welcome": [200, html, read("index.html"), "max-age=60", { "Set-Cookie": "seen=1" }],
  // Larger than the Worker keeps: every byte passes through it each time.
  "/download": [200, "application/octet-stream", Buffer.alloc(6 << 20, "ferrite "), "max-age=60"],
};
const missing = [404, html, "There is nothing here.\n", "max-age=10"];

/** Starts the site on 127.0.0.1 and resolves to the server once it listens. */
export function startOrigin(port) {
  const counts = {};
  const server = createServer((request, response) => {
    const path = request.url;
    if (path === "/__origin/counts") {
      response.setHeader("Content-Type", json);
      return response.end(JSON.stringify(counts));
    }
    counts[path] = (counts[path] ?? 0) + 1;
    const [status, type, body, lifetime, more = {}] = site[path] ?? missing;
    answer(request, response, status, Buffer.from(body), {
      "Content-Type": type, "Cache-Control": lifetime, Vary: "Accept-Encoding", ...more,
    });
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject).listen(port, "127.0.0.1", () => resolve(server));
  });
}

function answer(request, response, status, body, headers) {
  headers.ETag = `"${createHash("sha256").update(body).digest("hex").slice(0, 16)}"`;
  if (/\bgzip\b/.test(request.headers["accept-encoding"] ?? "") && body.length > 512) {
    body = gzipSync(body);
    headers["Content-Encoding"] = "gzip";
  }
  response.writeHead(status, { ...headers, "Content-Length": body.length });
  response.end(request.method === "HEAD" ? undefined : body);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await startOrigin(Number(process.argv[2] ?? 8788));
  console.log(`origin at http://127.0.0.1:${server.address().port}`);
}
