// The tests run inside workerd, with the Worker itself; the origin is a real server beside it.

import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [
    cloudflareTest(({ inject }) => ({
      wrangler: { configPath: "./wrangler.jsonc" },
      miniflare: {
        compatibilityFlags: ["nodejs_compat"],
        bindings: { ORIGIN: inject("origin") },
      },
    })),
  ],
  test: { globalSetup: "./test/origin.js" },
});
