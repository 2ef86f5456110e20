// What both entries offer besides initFerrite.

export type { FerriteCache, FerriteCache as FerriteCacheInstance } from "./cache.js";
export { FerriteError } from "./error.js";
export type { InitFerrite } from "./init.js";
export type {
  EvictionPolicy, ExpireCondition, FerriteModule, FerriteOptions, FerriteStats, Key, MaybeKey,
  Reply, ScanOptions, SetCondition, SetExpiry, SetOptions, Value,
} from "./types.js";
