// The Lambda@Edge example, by its own program, in every Node there is.

import { join } from "node:path";
import { expect, it } from "vitest";
import { nodes, root } from "./consumer.js";
import { output } from "./process.js";

const cwd = join(root, "examples-lambda-edge");

it.each(nodes)("the Lambda@Edge example in Node $version", async ({ path }) => {
  const printed = await output(path, ["try.js"], { cwd });
  expect(printed.trim().split("\n").map((line) => line.replace(/  +/g, "|"))).toEqual([
    "/old|301 /new|the table was fetched 1 time(s)",
    "/old|301 /new?a=1|the table was fetched 1 time(s)",
    "/m%C3%BCll|301 https://example.com/rubbish|the table was fetched 1 time(s)",
    "/|on to /|the table was fetched 1 time(s)",
    "/old|301 /new|the table was fetched 1 time(s)",
  ]);
});
