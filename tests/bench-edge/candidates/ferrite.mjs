// Ferrite as a candidate. Its bound is a budget in bytes; where none is given, there is room enough
// for all the plan's entries, so that nothing is evicted.

import initFerrite from "@ferrite/edge";

/** Bytes of room for an entry beside its value: more than any entry takes. */
const entryBytesMax = 128;

export const ferrite = {
  make({ budgetBytes, entries, bytes }) {
    const room = Math.ceil(1.3 * entries * (bytes + entryBytesMax)) + (8 << 20);
    return initFerrite({ maxMemory: budgetBytes ?? room });
  },
  held: (cache) => cache.dbsize(),
  /** What `set` is told where entries expire: longer than any run. */
  options: { ex: 3600 },
};
