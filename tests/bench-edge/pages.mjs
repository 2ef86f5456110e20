// Whole requests: what a Worker does that keeps its origin's answers in memory. A path is found in
// the store, or its page is made and kept; the origin is in the same process, so that a miss costs
// each store the same.
// Invariant: pages come from the plan alone, so all stores serve the same bytes.

import { randomFrom } from "./workloads.mjs";

/** What all answers of the kind "body" have: a store keeps their bodies alone. */
export const shared = { headers: new Headers({ "content-type": "text/html; charset=utf-8" }) };

/** A page's status and headers, for answers of the kind "response". */
const headOf = (index) => ({
  status: index % 16 === 15 ? 404 : 200,
  headers: {
    "content-type": "text/html; charset=utf-8",
    "content-language": "en",
    "cache-control": "public, max-age=600",
    "last-modified": "Fri, 20 Nov 2026 08:00:00 GMT",
    etag: `"${(index % 64).toString(16).padStart(8, "0")}"`,
  },
});

/**
 * @param open makes a store of a plan: `find(path)` gives a Response or null, `keep(path, response)`
 * keeps a Response and gives one for the visitor.
 */
export async function pagesOf({ open }, plan) {
  const store = await open(plan);
  const bodyOf = plan.mixed ? mixedBodies(plan) : plainBodies(plan);
  let misses = 0;
  return {
    async respond(request) {
      const path = new URL(request.url).pathname;
      const found = store.find(path);
      if (found) return found;
      misses++;
      const index = Number(path.slice(path.lastIndexOf("/") + 1));
      const head = plan.kind === "response" ? headOf(index) : shared;
      return store.keep(path, new Response(bodyOf(index), head));
    },
    takeMisses() {
      const taken = misses;
      misses = 0;
      return taken;
    },
  };
}

function plainBodies({ bytes }) {
  const template = new TextEncoder().encode("<p>An ordinary line of text.</p>\n".repeat(
    Math.ceil(bytes / 33))).subarray(0, bytes);
  const encoder = new TextEncoder();
  return (index) => {
    encoder.encodeInto(`<!-- ${String(index).padStart(6, "0")} -->`, template);
    return template;
  };
}

/** Languages of the mix: the characters of a paragraph, beside its markup. */
const alphabets = ["aeiourstnlcdm\u00e9\u00e8\u2019\u2014", "\u043e\u0435\u0430\u0438\u043d\u0442\u0441\u0440\u0432\u043b",
  "\u7684\u4e00\u662f\u4e0d\u4e86\u4eba\u6211\u5728\u6709\u4ed6"];
const sourceBytes = 1 << 20;
/** The median of the lengths of pages, which are spread lognormally, and their limits. */
const medianBytes = 10_000;
const leastBytes = 1_000;
const mostBytes = 120_000;

/** Pages in three languages, of many lengths, cut at paragraphs from a long text of each. */
function mixedBodies({ keys }) {
  const random = randomFrom(7);
  const sources = alphabets.map((alphabet) => sourceOf(alphabet, random));
  const spread = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const pages = Array.from({ length: keys }, (_, index) => {
    const { bytes, ends } = sources[index % sources.length];
    const wanted = Math.min(mostBytes, Math.max(leastBytes, medianBytes * Math.exp(spread())));
    const first = Math.floor(random() * ends.length / 2);
    let last = first + 1;
    while (ends[last] - ends[first] < wanted) last++;
    return bytes.subarray(ends[first], ends[last]);
  });
  return (index) => pages[index];
}

function sourceOf(alphabet, random) {
  const bytes = new Uint8Array(sourceBytes);
  const encoder = new TextEncoder();
  const letter = () => (random() < 0.15 ? " " : alphabet[Math.floor(random() * alphabet.length)]);
  const ends = [0];
  while (ends.at(-1) + 1000 < sourceBytes) {
    const text = Array.from({ length: 120 }, letter).join("");
    const paragraph = `<section class="text"><p lang="xx">${text}</p></section>\n`;
    ends.push(ends.at(-1) + encoder.encodeInto(paragraph, bytes.subarray(ends.at(-1))).written);
  }
  return { bytes, ends };
}
