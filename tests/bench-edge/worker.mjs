// In workerd: one candidate with the requests of subject.mjs as bodies of POST, or one store of
// pages, for which all but POST are whole requests, as a browser sends them.

import { pagesOf } from "./pages.mjs";
import { prepare } from "./workloads.mjs";

/** A Worker around a candidate (candidates/) or a store (stores/). */
export function workerOf(subject) {
  let bench;
  let pages;
  const answers = {
    prepare: async (plan) => {
      bench = await prepare(subject, plan);
      return { held: bench.held() };
    },
    run: (name) => bench.run(name),
    collect: () => ({ held: bench.held() }),
    pages: async (plan) => {
      pages = await pagesOf(subject, plan);
    },
    misses: () => ({ misses: pages.takeMisses() }),
    // From nothing to a hit.
    first: async () => {
      const cache = await subject.make({ entries: 1000, bytes: 100, budgetBytes: 32 << 20 });
      cache.set("a key", "a value");
      return { value: cache.get("a key") };
    },
  };
  return {
    async fetch(request) {
      if (request.method !== "POST") return pages.respond(request);
      const [[name, argument]] = Object.entries(await request.json());
      return Response.json((await answers[name](argument)) ?? {});
    },
  };
}
