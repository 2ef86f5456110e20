// The same as packed.ts, of the engine that can compress.

import base64 from "../dist/ferrite-compressed.wasm.deflate";
import { inlined } from "./compile.js";

/** Compiles it once, however many caches there are. */
export const load = inlined(base64);
