// What all entries offer besides initFerrite.

export type { Pair, Pairs } from "./commands/commands.js";
export type { GetexOptions } from "./commands/strings.js";
export { FerriteError } from "./error.js";
export type { InitFerrite } from "./init.js";
export type { LiteCache } from "./lite-cache.js";
export type { Command, Replies, ReplyOf } from "./multi.js";
export type {
  Bytes, EvictionPolicy, ExpireCondition, FerriteModule, FerriteOptions, FerriteStats, Key,
  LiteEvictionPolicy, LiteOptions, MaybeKey, Reply, ResponseOptions, RuntimeResponse, ScanOptions,
  SetCondition, SetExpiry, SetOptions, Value,
} from "./types.js";
