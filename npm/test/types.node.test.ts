// Compiles types/, where each @ts-expect-error is a test of its own.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const compiler = fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", import.meta.url));
const project = fileURLToPath(new URL("./types", import.meta.url));

it("the published types accept what is right and refuse what is wrong", async () => {
  const run = promisify(execFile)(process.execPath, [compiler, "-p", project]);
  const { stdout } = await run.catch((error: { stdout: string }) => error);
  expect(stdout).toBe("");
});
