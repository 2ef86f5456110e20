// The wasm as text: a chunk of its own, which is never loaded where the wasm was found as a file.

import base64 from "../dist/ferrite.wasm.deflate";
import { inlined } from "./compile.js";

/** Compiles it once, however many caches there are. */
export const load = inlined(base64);
