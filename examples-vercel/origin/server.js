// Where the app's data comes from: every key has some, and every request for it is counted.
//   node origin/server.js [PORT]     (8789, where the app looks for it; 0 takes a free one)
// /data/KEY answers with the key and how often it was asked for; /counts with all counts.

import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

const keysMax = 10_000;

/** Starts on 127.0.0.1 and resolves to the server once it listens. */
export function startOrigin(port) {
  const counts = new Map();
  const server = createServer((request, response) => {
    const json = (status, value) => response
      .writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
    const [, key] = /^\/data\/(.+)$/.exec(request.url) ?? [];
    if (request.url === "/counts") return json(200, Object.fromEntries(counts));
    if (!key) return json(404, "nothing here");
    if (!counts.has(key) && counts.size >= keysMax) return json(503, "too many keys");
    counts.set(key, (counts.get(key) ?? 0) + 1);
    json(200, { key: decodeURIComponent(key), asked: counts.get(key) });
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject).listen(port, "127.0.0.1", () => resolve(server));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await startOrigin(Number(process.argv[2] ?? 8789));
  console.log(`origin at http://127.0.0.1:${server.address().port}`);
}
