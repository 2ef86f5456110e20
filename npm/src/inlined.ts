// How Deno, Bun, browsers and every other runtime that compiles WebAssembly from bytes come by the
// wasm: it is inlined, so that bundlers have no file to lose.

import base64 from "../dist/ferrite.wasm.deflate";
import { inlined } from "./compile.js";

export const load = /* @__PURE__ */ inlined(base64);
export { webSeed as seed } from "./init.js";
