// The type of `@ferrite/edge/ferrite.wasm`: the build copies it to dist/ beside the file itself.
import type { FerriteModule } from "./types.js";

declare const module: FerriteModule;
export default module;
