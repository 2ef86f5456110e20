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
  ": bytes as a number, or digits and one of b, k, kb, m, mb, g, gb, such as \"64mb\"";
const known = Object.keys(defaults);

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
    // Not instanceof: in Next's edge sandbox the module is of another realm.
    if (kindOf(first) === wasmModule) return make(first as FerriteModule, second);
    if (first === undefined) return make(await load(), second);
    if (second === undefined) return make(await load(), first as FerriteOptions);
    throw wrongKind("the first of two arguments", `a ${wasmModule}`, first);
  };
}

const wasmModule = "WebAssembly.Module";

function makeCache<Cache>(
  cacheClass: CacheClass<Cache>, module: FerriteModule, options: FerriteOptions = {}, seed: Seed,
): Cache {
  if (kindOf(options) !== "Object") {
    throw wrongKind("what 'initFerrite' takes", `options or a ${wasmModule}`, options);
  }
  // What is undefined counts as not given.
  const given = reading(() => Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined)));
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) {
      throw new FerriteError(`ERR unknown option "${name}": there are ${known.join(", ")}`);
    }
  }
  const { clock, maxMemory: budget, evictionPolicy: policy, compression } =
    { ...defaults, ...given };
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
  if (complaint !== undefined) {
    if (complaint.includes("compression")) throw refusal("compression", compression, complaint);
    if (complaint.includes("lru")) throw refusal("evictionPolicy", policy, complaint);
    const form = complaint.includes("memory value") ? memoryForm : "";
    throw refusal("maxMemory", budget, complaint + form);
  }
  return new cacheClass(
    { module, families, maxMemory, evictionPolicy, compression, clock, seed }, instance,
  );
}

function refusal(name: string, value: unknown, complaint: string): FerriteError {
  const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
  return new FerriteError(`ERR ${name} ${shown}: ${complaint.replace("ERR ", "")}`);
}
