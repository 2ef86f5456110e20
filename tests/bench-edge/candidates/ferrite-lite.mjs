// Ferrite with strings and keys alone, under a budget: for how long it takes to start.

import initFerrite from "@ferrite/edge/lite";

export const lite = {
  make: ({ budgetBytes }) => initFerrite({ maxMemory: budgetBytes }),
  held: (cache) => cache.dbsize(),
};
