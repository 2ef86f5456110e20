// The C ABI in Node's WASI: what the tests in wasmtime say of it, once more from JavaScript.

import { defineConfig } from "vitest/config";

export default defineConfig({ test: { include: ["*.test.ts"], testTimeout: 120_000 } });
