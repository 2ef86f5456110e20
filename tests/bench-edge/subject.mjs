// One candidate in a process of its own, in Node, Bun or Deno: requests come as lines of JSON,
// replies go as lines of JSON. CPU time and memory are read from outside (processes.mjs).

import { createInterface } from "node:readline";
import { PerformanceObserver } from "node:perf_hooks";
import process from "node:process";
import { prepare } from "./workloads.mjs";

export async function serve(candidate) {
  const takeGarbageTime = watchGarbage();
  let bench;
  const answers = {
    prepare: async (plan) => {
      bench = await prepare(candidate, plan);
      await takeGarbageTime();
      return { held: bench.held() };
    },
    run: async (name) => ({ ...bench.run(name), gc_ms: await takeGarbageTime() }),
    // Twice: what finalisers let go is free after the second.
    collect: () => {
      globalThis.gc?.();
      globalThis.gc?.();
      return { held: bench.held() };
    },
  };
  process.stdout.write("{}\n");
  for await (const line of createInterface({ input: process.stdin })) {
    const [[name, argument]] = Object.entries(JSON.parse(line));
    const reply = await answers[name](argument);
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
}

/** A function that tells for how long garbage was collected since it was last asked. */
function watchGarbage() {
  // Deno names the type of entry and never has one; Bun has none.
  if (process.versions.deno || process.versions.bun) return async () => undefined;
  let milliseconds = 0;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) milliseconds += entry.duration;
  });
  observer.observe({ entryTypes: ["gc"] });
  return async () => {
    // Entries come with a later turn of the event loop.
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    const taken = milliseconds;
    milliseconds = 0;
    return taken;
  };
}
