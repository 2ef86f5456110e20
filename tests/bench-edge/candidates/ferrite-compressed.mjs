// Ferrite with compression, under a budget.

import initFerrite from "@ferrite/edge/compressed";

export const compressed = {
  make: ({ budgetBytes }) => initFerrite({ maxMemory: budgetBytes, compression: true }),
  held: (cache) => cache.dbsize(),
};
