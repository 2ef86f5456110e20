// Builds the function and calls it as CloudFront would, with a table of redirects from this
// machine.
//   node try.js
// Prints what came of each event, and fails unless it is what should.

import { createServer } from "node:http";

const table = { "/old": "/new", "/m%C3%BCll": "https://example.com/rubbish" };
let asked = 0;
const server = createServer((request, response) => {
  asked++;
  response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(table));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
process.env.REDIRECTS = `http://127.0.0.1:${server.address().port}/redirects.json`;
await import("./build.js");
const { handler } = await import("./dist/index.mjs");

const config = { eventType: "viewer-request", distributionId: "EDFDVBD6EXAMPLE", requestId: "1" };
const headers = { host: [{ key: "Host", value: "d111111abcdef8.cloudfront.net" }] };

async function visit(uri, expected, querystring = "") {
  const request = { method: "GET", clientIp: "203.0.113.178", uri, querystring, headers };
  const result = await handler({ Records: [{ cf: { config, request } }] });
  const location = result.headers.location?.[0].value;
  const found = result.status ? `${result.status} ${location}` : `on to ${result.uri}`;
  console.log(uri.padEnd(12), found.padEnd(32), `the table was fetched ${asked} time(s)`);
  if (found !== expected || asked !== 1) process.exitCode = 1;
}

await visit("/old", "301 /new");
await visit("/old", "301 /new?a=1", "a=1");
await visit("/m%C3%BCll", "301 https://example.com/rubbish");
await visit("/", "on to /");
// Without the table's source: what is kept goes on to be served.
server.close();
server.closeAllConnections();
await visit("/old", "301 /new");
