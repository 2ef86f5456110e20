// What is measured: loops over one cache, the same code in every runtime and for every candidate.
// Invariant: keys, values and their order come from the plan alone, so all candidates do the same;
// every value that is read is consumed (its length and one character or byte), and the sums must
// agree. A process has one candidate, so no call site sees two classes of cache.
// Not here: time. In workerd no clock moves between I/O, so it is read from outside, for all alike.

import { documentOf } from "./documents.mjs";

/** A plan: what `prepare` is told.
 * @typedef {object} Plan
 * @property {number} keys how many different ones
 * @property {number} bytes of a value
 * @property {boolean} [documents] whether values are documents as JSON instead, about 1 KB each
 * @property {number} entries for which caches that are bounded by count have room
 * @property {number} [budgetBytes] for those that are bounded by bytes
 * @property {boolean} [asBytes] whether values are Uint8Arrays, else they are strings
 * @property {number} operations of one round
 * @property {boolean} [fill] whether to set every key beforehand
 * @property {boolean} [expires] whether entries get a time to live
 */

const prefix = "user:session:";
/** After so many rounds keys are asked for in the same order again: a loop would be LRU's weakness. */
const orderRounds = 16;
const hotKeys = 1000;

export async function prepare({ make, held, options }, plan) {
  const cache = await make(plan);
  const random = randomFrom(plan.keys);
  const orders = new Map();
  const suffixes = Array.from({ length: plan.keys }, (_, index) => String(1_000_000 + index));
  const state = {
    cache,
    suffixes,
    keys: plan.fill ? suffixes.map((suffix) => prefix + suffix) : [],
    values: valuesOf(plan),
    pool: [],
    order: new Uint32Array(),
    setOptions: plan.expires ? options : undefined,
  };
  if (plan.fill) {
    // As many as there are keys by four: what was set is not at hand in the processor's caches.
    state.pool = Array.from({ length: plan.keys >> 2 }, (_, index) => state.values(index));
    for (const index of permutation(plan.keys, random)) {
      cache.set(state.keys[index], state.values(index), state.setOptions);
    }
  }
  let round = 0;
  return {
    run(name) {
      const skew = skews[name] ?? 0;
      const operations = orderRounds * plan.operations;
      if (!orders.has(skew)) orders.set(skew, orderOf({ ...plan, operations, skew }, random));
      const start = (round++ % orderRounds) * plan.operations;
      state.order = orders.get(skew).subarray(start, start + plan.operations);
      return loops[name](state, plan);
    },
    held: () => held(cache),
  };
}

/** How popular keys are: the exponent of Zipf's law. Where none stands here, all are alike. */
const skews = { "mix 90:10": 0.99, "churn string": 0.9, "churn bytes": 0.9 };

const loops = {
  "get fresh": ({ cache, suffixes, order }) => {
    let sum = 0;
    for (const index of order) sum += consumeText(cache.get(prefix + suffixes[index]));
    return { sum };
  },

  "get reused": ({ cache, keys, order }) => {
    let sum = 0;
    for (const index of order) sum += consumeText(cache.get(keys[index]));
    return { sum };
  },

  view: (state, plan) => (state.cache.withBytes ? viewOfFerrite(state) : viewOfPeer(state, plan)),

  bytes: (state, plan) => (state.cache.getBytes ? bytesOfFerrite(state) : viewOfPeer(state, plan)),

  set: ({ cache, suffixes, order, pool, setOptions }) => {
    for (const index of order) {
      cache.set(prefix + suffixes[index], pool[index % pool.length], setOptions);
    }
    return { sum: order.length };
  },

  "mix 90:10": ({ cache, suffixes, order, pool, setOptions }) => {
    let sum = 0;
    for (let at = 0; at < order.length; at++) {
      const key = prefix + suffixes[order[at]];
      if (at % 10 === 9) cache.set(key, pool[at % pool.length], setOptions);
      else sum += consumeText(cache.get(key));
    }
    return { sum };
  },

  "churn string": ({ cache, suffixes, order, values }) => {
    let sum = 0;
    let hits = 0;
    for (const index of order) {
      const key = prefix + suffixes[index];
      let value = cache.get(key);
      if (value === null || value === undefined) {
        value = values(index);
        cache.set(key, value);
      } else {
        hits++;
      }
      sum += consumeText(value);
    }
    return { sum, hits };
  },

  "churn bytes": (state, plan) => (
    state.cache.withBytes ? churnOfFerrite(state) : churnOfPeer(state, plan)),

  /** As `get fresh`, but of a few keys, over and over. */
  "get hot": ({ cache, suffixes, order }) => {
    let sum = 0;
    for (const index of order) sum += consumeText(cache.get(prefix + suffixes[index % hotKeys]));
    return { sum };
  },

  /** Writes as much as the budget in values of each of these sizes in turn. */
  shift: ({ cache, suffixes }, { asBytes, budgetBytes }) => {
    let index = 0;
    for (const bytes of [100, 10_240, 1_024, 102_400, 300]) {
      const values = valuesOf({ asBytes, bytes });
      for (let left = budgetBytes; left > 0; left -= bytes) {
        index = (index + 1) % suffixes.length;
        cache.set(prefix + suffixes[index], values(index));
      }
    }
    return { sum: index };
  },

  /** Writes each key once, in order. */
  fill: ({ cache, suffixes, values }) => {
    for (let index = 0; index < suffixes.length; index++) {
      cache.set(prefix + suffixes[index], values(index));
    }
    return { sum: suffixes.length };
  },
};

const consumeText = (text) => text.length + text.charCodeAt(text.length >> 1);
const consumeBytes = (bytes) => bytes.length + bytes[bytes.length >> 1];

function viewOfFerrite({ cache, suffixes, order }) {
  let sum = 0;
  for (const index of order) sum += cache.withBytes(prefix + suffixes[index], consumeBytes);
  return { sum };
}

function bytesOfFerrite({ cache, suffixes, order }) {
  let sum = 0;
  for (const index of order) sum += consumeBytes(cache.getBytes(prefix + suffixes[index]));
  return { sum };
}

function viewOfPeer({ cache, suffixes, order }, { asBytes }) {
  const consume = asBytes ? consumeBytes : consumeText;
  let sum = 0;
  for (const index of order) sum += consume(cache.get(prefix + suffixes[index]));
  return { sum };
}

function churnOfFerrite({ cache, suffixes, order, values }) {
  let sum = 0;
  let hits = 0;
  for (const index of order) {
    const key = prefix + suffixes[index];
    const consumed = cache.withBytes(key, consumeBytes);
    if (consumed === null) {
      const value = values(index);
      cache.set(key, value);
      sum += consumeBytes(value);
    } else {
      sum += consumed;
      hits++;
    }
  }
  return { sum, hits };
}

function churnOfPeer({ cache, suffixes, order, values }, { asBytes }) {
  const consume = asBytes ? consumeBytes : consumeText;
  let sum = 0;
  let hits = 0;
  for (const index of order) {
    const key = prefix + suffixes[index];
    let value = cache.get(key);
    if (value === undefined) {
      value = values(index);
      cache.set(key, value);
    } else {
      hits++;
    }
    sum += consume(value);
  }
  return { sum, hits };
}

/** A function from a key's number to a new value of its own, as an origin would answer. */
function valuesOf({ bytes, asBytes, documents }) {
  if (documents) return documentOf;
  const template = new Uint8Array(bytes).fill(120);
  const decoder = new TextDecoder();
  return (index) => {
    for (let at = 0, rest = index; at < 8; at++, rest = (rest / 10) | 0) {
      template[at] = template[(bytes >> 1) - at] = 48 + rest % 10;
    }
    return asBytes ? template.slice() : decoder.decode(template);
  };
}

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function permutation(length, random) {
  const numbers = Uint32Array.from({ length }, (_, index) => index);
  for (let at = length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [numbers[at], numbers[other]] = [numbers[other], numbers[at]];
  }
  return numbers;
}

/** Which keys are asked for, one after the other: popular ones are not neighbours. */
export function orderOf({ keys, operations, skew }, random) {
  if (!skew) return Uint32Array.from({ length: operations }, () => Math.floor(random() * keys));
  const shuffled = permutation(keys, random);
  const sums = new Float64Array(keys);
  let total = 0;
  for (let rank = 0; rank < keys; rank++) sums[rank] = total += (rank + 1) ** -skew;
  return Uint32Array.from({ length: operations }, () => {
    const wanted = random() * total;
    let low = 0;
    let high = keys - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    return shuffled[low];
  });
}
