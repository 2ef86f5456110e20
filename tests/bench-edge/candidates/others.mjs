// Candidates that need no more than a line. A Map has no bound; quick-lru holds up to twice as many
// entries as it is told; mnemonist's LRUCache finds keys in an object, its LRUMap in a Map.

import QuickLRU from "quick-lru";
import { LRUCache, LRUMap } from "mnemonist";

const held = (cache) => cache.size;

export const map = { make: () => new Map(), held };
export const quickLru = { make: ({ entries }) => new QuickLRU({ maxSize: entries }), held };
export const mnemonistCache = { make: ({ entries }) => new LRUCache(entries), held };
export const mnemonistMap = { make: ({ entries }) => new LRUMap(entries), held };

/** No cache: what the program around it costs, to be taken off where memory is measured. */
export const nothing = { make: () => ({ get() {}, set() {} }), held: () => 0 };
