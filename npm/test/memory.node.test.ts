// The promise about memory, as the operating system counts it: a process with a cache grows by no
// more than the budget, 2 % of it, and what JavaScript needs for the strings on their way.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const entry = new URL("../dist/index.js", import.meta.url).href;
const budgetBytes = 24 << 20;

/** What does not depend on the budget: heap, compiled code, the allocator's own. */
const constantBytes = 16 << 20;

const life = `
  import { initFerrite } from "${entry}";
  const cache = await initFerrite({ maxMemory: ${budgetBytes} });
  const sizes = [100, 1000, 30, 5000, 40_000, 200];
  const put = [
    (key, item) => cache.set(key, item),
    (key, item) => cache.hset("h" + key.slice(0, 4), key, item),
    (key, item) => cache.rpush("l" + key.slice(0, 5), item),
    (key, item) => cache.sadd("s" + key.slice(0, 3), item),
  ];
  const run = (bytes) => {
    let round = 0;
    for (const size of sizes) {
      for (const add of put) {
        for (let added = 0, count = 0; added < bytes && count < 30_000; added += size, count++) {
          add(String(Math.imul(++round, 0x9e3779b1) >>> 0), "x".repeat(size - 9) + (1e8 + round));
        }
        cache.withBytes("none", () => {});
      }
    }
  };
  run(100_000);
  gc();
  const before = process.memoryUsage().rss;
  run(${budgetBytes});
  gc();
  console.log(JSON.stringify({ grown: process.memoryUsage().rss - before, ...cache.stats() }));
`;

it("the process grows by little more than the budget", async () => {
  const file = fileURLToPath(new URL(".", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--expose-gc", "--max-semi-space-size=2", "--input-type=module", "--eval", life,
  ], { cwd: file, timeout: 110_000 });
  const { grown, evicted_keys, instance_resets } = JSON.parse(stdout);
  expect(grown).toBeLessThanOrEqual(1.02 * budgetBytes + constantBytes);
  // It was filled, or nothing is shown.
  expect(grown).toBeGreaterThan(0.8 * budgetBytes);
  expect(evicted_keys).toBeGreaterThan(1000);
  expect(instance_resets).toBe(0);
});
