// lru-cache as a candidate, three ways: bounded by count, which its README calls best for
// performance; the same with a time to live; and bounded by size, counted as its users count it.

import { LRUCache } from "lru-cache";

const held = (cache) => cache.size;

export const byCount = { make: ({ entries }) => new LRUCache({ max: entries }), held };

export const withTtl = {
  make: ({ entries }) => new LRUCache({ max: entries, ttl: 3_600_000 }),
  held,
};

export const bySize = {
  make: ({ budgetBytes, entries, bytes }) => new LRUCache({
    maxSize: budgetBytes ?? 2 * entries * (bytes + 32),
    sizeCalculation: (value, key) => key.length + value.length,
  }),
  held,
};
