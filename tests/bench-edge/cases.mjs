// What `scripts/bench edge` measures, as tables: which candidates, in which runtimes, by which loops
// of workloads.mjs or which pages of pages.mjs. How is run.mjs's to say.

const lru = "candidates/lru-cache.mjs";
const others = "candidates/others.mjs";

/** A candidate's module and export, and what its plan differs in. */
export const candidates = {
  ferrite: { from: "candidates/ferrite.mjs", name: "ferrite" },
  "ferrite with room": { from: "candidates/ferrite.mjs", name: "ferrite",
    plan: { budgetBytes: 160 << 20 } },
  "ferrite compressed": { from: "candidates/ferrite-compressed.mjs", name: "compressed" },
  "ferrite lite": { from: "candidates/ferrite-lite.mjs", name: "lite" },
  "lru-cache": { from: lru, name: "byCount", plan: { asBytes: false } },
  "lru-cache bytes": { from: lru, name: "byCount", plan: { asBytes: true } },
  "lru-cache ttl": { from: lru, name: "withTtl" },
  "lru-cache maxSize": { from: lru, name: "bySize" },
  "lru-cache maxSize bytes": { from: lru, name: "bySize", plan: { asBytes: true } },
  Map: { from: others, name: "map" },
  "quick-lru": { from: others, name: "quickLru" },
  "mnemonist LRUCache": { from: others, name: "mnemonistCache" },
  "mnemonist LRUMap": { from: others, name: "mnemonistMap" },
  nothing: { from: others, name: "nothing" },
};

const stores = "stores/lru-cache.mjs";

/** The same of stores. */
export const storesOf = {
  ferrite: { from: "stores/ferrite.mjs", name: "ferrite" },
  "lru-cache": { from: stores, name: "strings" },
  "lru-cache bytes": { from: stores, name: "bytes" },
  "lru-cache, Headers kept": { from: stores, name: "stringsAndHeaders" },
  "lru-cache bytes, Headers kept": { from: stores, name: "bytesAndHeaders" },
};

const everyPeer = ["Map", "lru-cache", "lru-cache maxSize", "quick-lru", "mnemonist LRUCache",
  "mnemonist LRUMap"];
const text = ["get fresh", "get reused", "mix 90:10", "set"];

const b100 = { label: "100 B", bytes: 100, keys: 100_000 };
const kb1 = { label: "1 KB", bytes: 1024, keys: 100_000 };
const kb10 = { label: "10 KB", bytes: 10_240, keys: 10_000 };

/** Caches that hold every key: loops in the order in which they run, the last of which writes. */
export const full = [
  { runtime: "node", size: b100, loops: text, peers: everyPeer },
  { runtime: "node", size: kb1, loops: text, peers: ["Map", "lru-cache"] },
  { runtime: "node", size: kb10, loops: text, peers: ["Map", "lru-cache"] },
  { runtime: "node", size: b100, loops: ["get fresh", "set"], peers: ["lru-cache ttl"],
    suffix: " ttl", plan: { expires: true } },
  ...[b100, kb1, kb10].map((size) => ({ runtime: "node", size, loops: ["view", "bytes"],
    peers: ["lru-cache", "lru-cache bytes"], plan: { asBytes: true } })),
  // Most values are compressed here; those that are asked for all the time should not stay so.
  { runtime: "node", size: { ...kb1, label: "1 KB JSON compressed" }, loops: ["get hot"],
    plan: { documents: true, budgetBytes: 80 << 20 }, ours: "ferrite compressed",
    peers: ["ferrite with room", "lru-cache"] },
  { runtime: "workerd", size: b100, loops: text, peers: ["Map", "lru-cache"] },
  { runtime: "workerd", size: kb1, loops: text, peers: ["Map", "lru-cache"] },
  { runtime: "workerd", size: kb1, loops: ["view", "bytes"],
    peers: ["lru-cache", "lru-cache bytes"], plan: { asBytes: true } },
  ...["deno", "bun"].flatMap((runtime) => [b100, kb1].map((size) => (
    { runtime, size, loops: ["get fresh", "mix 90:10"], peers: ["Map", "lru-cache"] }))),
];

/** Read-through at capacity: Ferrite gets a budget, its peers as many entries as that held. */
const churnOf = (runtime, size, budgetBytes) => ["string", "bytes"].map((form) => ({
  runtime, size, budgetBytes, form,
  peers: form === "string" ? ["lru-cache", "mnemonist LRUMap"]
    : ["lru-cache", "lru-cache bytes"],
}));

export const churn = [
  ...churnOf("node", b100, 16 << 20),
  ...churnOf("node", kb1, 64 << 20),
  ...churnOf("node", kb10, 64 << 20),
  ...churnOf("workerd", kb1, 64 << 20),
  ...["deno", "bun"].map((runtime) => churnOf(runtime, kb1, 64 << 20)[0]),
];

/**
 * Memory of a process, after a loop: figures are those of a process with a cache less those of one
 * that does the same without. `ours` is which Ferrite.
 */
export const memory = [
  { loop: "fill", name: "entries in 64 MB 100 B", keys: 1_000_000, peers: ["lru-cache maxSize"] },
  { loop: "fill", name: "entries in 64 MB 1 KB JSON", keys: 150_000, plan: { documents: true },
    peers: ["lru-cache maxSize"] },
  { loop: "fill", name: "entries in 64 MB 1 KB JSON compressed", keys: 150_000,
    plan: { documents: true }, ours: "ferrite compressed",
    peers: ["lru-cache maxSize", "ferrite"] },
  { loop: "shift", name: "shifts of sizes in 64 MB", keys: 1_000_000,
    peers: ["lru-cache maxSize", "lru-cache maxSize bytes"] },
];

const bodies = { peers: ["lru-cache", "lru-cache bytes"] };

/** Whole requests in workerd. */
export const requests = [
  { label: "1 KB", plan: { bytes: 1024, keys: 10_000 }, ...bodies },
  { label: "10 KB", plan: { bytes: 10_240, keys: 4_000 }, ...bodies },
  { label: "100 KB", plan: { bytes: 102_400, keys: 400 }, ...bodies },
  { label: "1 KB with headers", plan: { bytes: 1024, keys: 10_000, kind: "response" },
    peers: ["lru-cache", "lru-cache, Headers kept", "lru-cache bytes, Headers kept"] },
  { label: "100 KB kept", plan: { bytes: 102_400, keys: 400, kind: "response", misses: true },
    peers: ["lru-cache", "lru-cache bytes, Headers kept"] },
  { label: "UTF-8 mix 64 MB", plan: { mixed: true, keys: 8_000, skew: 0.8 }, ...bodies },
];
