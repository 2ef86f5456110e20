// What the entries for all runtimes share: options in, cache out.
// Invariant: nothing here reads a clock or draws a random number, since at a Worker's global scope,
// where this runs, neither exists.

import type { FerriteCache } from "./cache.js";
import { FerriteError, kindOf, reading, wrongKind } from "./error.js";
import type { Families } from "./face.js";
import { Instance } from "./instance.js";
import type { Configuration } from "./lite-cache.js";
import type { FerriteModule, FerriteOptions } from "./types.js";

/** Makes a cache. */
export interface InitFerrite<Cache = FerriteCache, Options = FerriteOptions> {
  (options?: Options): Promise<Cache>;
  /** With a module that the caller imported, for runtimes without an entry of their own. */
  (module: FerriteModule | undefined, options?: Options): Promise<Cache>;
}

/** @internal A class of caches. */
interface CacheClass<Cache> {
  readonly families: Families;
  new (configuration: Configuration, instance: Instance): Cache;
}

const defaults: Required<FerriteOptions> = {
  maxMemory: "32mb", evictionPolicy: "allkeys-lru", compression: false,
  clock: { now: () => Date.now() },
};
const memoryForm =
  "bytes as a number, or digits and one of b, k, kb, m, mb, g, gb, such as \"64mb\"";
const known = ["maxMemory", "evictionPolicy", "compression", "clock"];

/** @internal Draws two random words. */
export type Seed = () => Uint32Array;

/** @internal As the web has it, and every runtime. */
export const webSeed: Seed = () => crypto.getRandomValues(new Uint32Array(2));

/** @internal `initFerrite` of an entry, given how a runtime comes by module and random numbers. */
export function makeInit<Cache>(
  cacheClass: CacheClass<Cache>, load: () => FerriteModule | Promise<FerriteModule>, seed: Seed,
): InitFerrite<Cache> {
  const make = (module: FerriteModule, options?: FerriteOptions) => (
    makeCache(cacheClass, module, options, seed));
  return async (first?: FerriteModule | FerriteOptions, second?: FerriteOptions) => {
    if (isModule(first)) return make(first, second);
    if (second === undefined) return make(await load(), first as FerriteOptions | undefined);
    if (first === undefined) return make(await load(), second);
    throw new FerriteError("ERR the first of two arguments must be a WebAssembly.Module");
  };
}

/** Not instanceof: in Next's edge sandbox the module is of another realm. */
function isModule(value: unknown): value is FerriteModule {
  return kindOf(value) === "WebAssembly.Module";
}

function makeCache<Cache>(
  cacheClass: CacheClass<Cache>, module: FerriteModule, options: FerriteOptions = {}, seed: Seed,
): Cache {
  if (kindOf(options) !== "Object") {
    throw wrongKind("what 'initFerrite' takes", "options or a WebAssembly.Module", options);
  }
  const read = reading(() => ({ ...options }));
  for (const name of Object.keys(read)) {
    if (!known.includes(name)) {
      throw new FerriteError(`ERR unknown option "${name}": there are ${known.join(", ")}`);
    }
  }
  const { clock, maxMemory: budget, evictionPolicy: policy, compression } =
    { ...defaults, ...given(read) };
  if (typeof reading(() => clock?.now) !== "function") {
    throw new FerriteError("ERR clock: it must have a function now()");
  }
  if (typeof compression !== "boolean") {
    throw refusal("compression", compression, "it must be true or false");
  }
  const { families } = cacheClass;
  const instance = new Instance(module, families);
  const [maxMemory, evictionPolicy] = reading(() => [String(budget), String(policy)] as const);
  const complaint = instance.configure(maxMemory, evictionPolicy, compression);
  if (complaint?.includes("compression")) throw refusal("compression", compression, complaint);
  if (complaint?.includes("lru")) throw refusal("evictionPolicy", policy, complaint);
  if (complaint?.includes("memory value")) {
    throw refusal("maxMemory", budget, `${complaint}: ${memoryForm}`);
  }
  if (complaint !== undefined) throw refusal("maxMemory", budget, complaint);
  return new cacheClass(
    { module, families, maxMemory, evictionPolicy, compression, clock, seed }, instance,
  );
}

/** Without what is undefined, which counts as not given. */
function given(options: FerriteOptions): FerriteOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function refusal(name: string, value: unknown, complaint: string): FerriteError {
  const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
  return new FerriteError(`ERR ${name} ${shown}: ${complaint.replace("ERR ", "")}`);
}
