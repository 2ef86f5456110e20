import type { NextConfig } from "next";

export default {
  // The app is its own root, whatever lock file lies above it.
  turbopack: { root: import.meta.dirname },
  outputFileTracingRoot: import.meta.dirname,
  // Next would write instructions for coding agents into the project.
  agentRules: false,
} satisfies NextConfig;
