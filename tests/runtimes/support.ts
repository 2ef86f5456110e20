// What the tests of all runtimes share: what a good report is, and what a missing runtime means.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { isLeftOut } from "../../npm/test/replay.js";
import { root } from "./consumer.js";
import type { Report } from "./suite.js";

const vectors = join(root, "tests/vectors");
const all = readdirSync(vectors).filter((name) => name.endsWith(".txt"));
/** By the main entry, and by the lite one. */
const played = [false, true].flatMap((isLite) => all.filter((name) => !isLeftOut(name, isLite)));
const lines = played.flatMap((name) => readFileSync(join(vectors, name), "utf8").split("\n"));
const requests = lines.filter((line) => line.startsWith("> ")).length;

/** Nothing failed, and nothing was lost on the way. */
export function passes({ failures, ...counts }: Report): void {
  expect(failures).toEqual([]);
  expect(counts).toEqual({ transcripts: played.length, requests, checks: 12 });
  expect(played.length).toBeGreaterThanOrEqual(25 + 12);
}

/** A test of a runtime that may not be on this machine; under CI it must be. */
export function needs(
  runtime: string, found: unknown, test: () => Promise<void>, seconds = 120,
): void {
  const isSkipped = !found && !process.env.CI;
  if (isSkipped) console.log(`skipped: ${runtime} is not installed (scripts/setup)`);
  it.skipIf(isSkipped)(runtime, async () => {
    if (!found) throw new Error(`${runtime} is not installed, and CI is set`);
    await test();
  }, seconds * 1000);
}
