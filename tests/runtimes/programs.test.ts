// Runtimes that run a program: Node by import and by require(), Deno, Bun, and what is made for
// Lambda@Edge, which is Node with one file.

import { build } from "esbuild";
import { describe, expect, it } from "vitest";
import { consumer, find, nodes } from "./consumer.js";
import { output } from "./process.js";
import { needs, passes } from "./support.js";

const cwd = consumer;

describe.each(nodes)("Node $version", ({ path }) => {
  it("by import", async () => passes(JSON.parse(await output(path, ["main.mjs"], { cwd }))));
  it("by require", async () => passes(JSON.parse(await output(path, ["main.cjs"], { cwd }))));
});

it("Node 20 and Node 22 were among them, where they must be", () => {
  const majors = nodes.map(({ version }) => version.split(".")[0]);
  expect(majors).toContain("v22");
  if (process.env.CI) expect(majors).toContain("v20");
  else if (!majors.includes("v20")) console.log(`skipped: Node 20, as there is ${majors}`);
});

const deno = find("deno");
describe("Deno", () => {
  needs("Deno, with no permission at all", deno, async () => {
    const words = ["run", "--no-prompt", "--no-remote", "--quiet", "main.mjs"];
    passes(JSON.parse(await output(deno!, words, { cwd, env: { NO_COLOR: "1" } })));
  });
});

const bun = find("bun");
describe("Bun", () => {
  needs("Bun by import", bun, async () => {
    passes(JSON.parse(await output(bun!, ["main.mjs"], { cwd })));
  });
  needs("Bun by require", bun, async () => {
    passes(JSON.parse(await output(bun!, ["main.cjs"], { cwd })));
  });
});

/** What CloudFront calls the function with, once for each of two viewers. */
const calls = `
  const { handler } = require("./lambda.cjs");
  const config = { distributionId: "EXAMPLE", eventType: "viewer-request", requestId: "1" };
  const headers = { host: [{ key: "Host", value: "d123.cloudfront.net" }] };
  const request = { clientIp: "203.0.113.178", method: "GET", uri: "/a", querystring: "", headers };
  (async () => {
    const first = await handler({ Records: [{ cf: { config, request } }] });
    const second = await handler({ Records: [{ cf: { config, request } }] });
    console.log(JSON.stringify([first, second]));
  })();
`;

describe("Lambda@Edge", () => {
  it.each(nodes)("one bundled file, given CloudFront events, in Node $version", async (node) => {
    await build({
      absWorkingDir: consumer, entryPoints: ["lambda.mjs"], outfile: "lambda.cjs", bundle: true,
      platform: "node", format: "cjs", target: "node20", minify: true, logLevel: "warning",
    });
    const responses = JSON.parse(await output(node.path, ["-e", calls], { cwd }));
    for (const [at, { status, body }] of responses.entries()) {
      expect(status).toBe("200");
      const { visits, ...report } = JSON.parse(body);
      expect(visits).toBe(at + 1);
      passes(report);
    }
  });
});
