// In place of inlined.ts for workerd, which compiles modules when a Worker is uploaded and never
// later.

import module from "./ferrite.wasm";

export const load = () => module;
export { webSeed as seed } from "./init.js";
