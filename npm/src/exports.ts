// What both entries offer besides initFerrite.

export type { FerriteCache, FerriteCache as FerriteCacheInstance } from "./cache.js";
export type { Pair, Pairs } from "./commands/commands.js";
export type { MemberScanOptions } from "./commands/hashes.js";
export type { CopyOptions } from "./commands/keys.js";
export type { ListEnd, LposOptions } from "./commands/lists.js";
export type { GetexOptions } from "./commands/strings.js";
export { FerriteError } from "./error.js";
export type { InitFerrite } from "./init.js";
export type { Command, Replies, ReplyOf } from "./multi.js";
export type {
  EvictionPolicy, ExpireCondition, FerriteModule, FerriteOptions, FerriteStats, Key, MaybeKey,
  Reply, ResponseOptions, RuntimeResponse, ScanOptions, SetCondition, SetExpiry, SetOptions, Value,
} from "./types.js";
