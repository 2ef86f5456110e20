// One file after the other: the machine's cores belong to Viceroy.

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { include: ["*.test.js"], fileParallelism: false, testTimeout: 60_000, hookTimeout: 90_000 },
});
