// In place of inlined.ts for Vercel's edge runtime, which compiles modules when a function is
// deployed: the query asks its bundlers for the compiled module rather than for its exports.

import module from "./ferrite.wasm?module";

export const load = () => module;
export { webSeed as seed } from "./init.js";
