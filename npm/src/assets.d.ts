// What scripts/build.js gives to import: the wasm, and the wasm as text.

declare module "*.wasm?module" {
  const module: import("./types.js").FerriteModule;
  export default module;
}

declare module "*.wasm.deflate" {
  /** The file in base64, inlined by the build. */
  const base64: string;
  export default base64;
}
