// The type of `@ferrite/edge/ferrite-compressed.wasm`, as that of ferrite.wasm.
import type { FerriteModule } from "./types.js";

declare const module: FerriteModule;
export default module;
