// The type of `@ferrite/edge/ferrite.wasm` and its like: the build copies it to dist/, beside each.
import type { FerriteModule } from "./types.js";

declare const module: FerriteModule;
export default module;
