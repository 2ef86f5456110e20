// What goes in and what comes out, as types. The engine's table of commands is the authority on
// what is allowed; these say the same to the compiler.

/** A key: text, or any bytes. */
export type Key = string | Uint8Array;

/** A value to be stored: text, bytes, or a number, which is stored as its text. */
export type Value = string | number | bigint | Uint8Array | ArrayBuffer;

/** Bytes as the caller's TypeScript names them: before 5.7 a Uint8Array did not say of what. */
export type Bytes = ReturnType<Uint8ArrayConstructor["of"]>;

/** What a read takes: where a key can be missing it may be null, which no key ever is. */
export type MaybeKey = Key | null | undefined;

/** When a value expires: one of these, or never. Seconds and milliseconds are whole numbers. */
export type SetExpiry =
  /** In so many seconds. */
  | { ex: number; px?: never; exat?: never; pxat?: never; keepTtl?: false }
  /** In so many milliseconds. */
  | { ex?: never; px: number; exat?: never; pxat?: never; keepTtl?: false }
  /** At this Unix time in seconds. */
  | { ex?: never; px?: never; exat: number; pxat?: never; keepTtl?: false }
  /** At this Unix time in milliseconds. */
  | { ex?: never; px?: never; exat?: never; pxat: number; keepTtl?: false }
  /** When the value that was there would have, if so; else never. */
  | { ex?: never; px?: never; exat?: never; pxat?: never; keepTtl?: boolean };

/** Whether to set at all. */
export type SetCondition =
  /** Only if the key is not there. */
  | { nx: boolean; xx?: false }
  /** Only if it is. */
  | { nx?: false; xx: boolean }
  | { nx?: false; xx?: false };

/** The options of SET. With `get` it returns the value that was there before. */
export type SetOptions = SetExpiry & SetCondition & { get?: boolean };

/** The options of `putResponse`. */
export type ResponseOptions = SetExpiry & SetCondition & {
  get?: never;
  /** A longer body is an error, and is not read to its end. The default is 16 MiB. */
  maxBodyBytes?: number;
  /**
   * Whether the body is in the coding of its `Content-Encoding` already, as a Worker says it of a
   * Response: "manual". For gzip, deflate and zstd that is found out.
   */
  encodeBody?: "automatic" | "manual";
};

/** The runtime's own `Response`, by whatever types the project has for it. */
export type RuntimeResponse =
  typeof globalThis extends { Response: { prototype: infer Instance } } ? Instance : unknown;

/** When EXPIRE and its sisters apply: see Redis's documentation. */
export type ExpireCondition = "NX" | "XX" | "GT" | "LT" | "nx" | "xx" | "gt" | "lt";

/** The options of SCAN. */
export interface ScanOptions {
  /** Only keys that match this pattern. */
  match?: Key;
  /** About how many keys to look at in one call. */
  count?: number;
  /** Only keys of this type. */
  type?: string;
}

/** A reply of `call`, with text for strings, or bytes with `callBytes`. */
export type Reply<Text = string> = Text | number | bigint | null | Reply<Text>[];

/** What the cache tells about itself, named as in Redis's INFO where INFO has it. */
export interface FerriteStats {
  /** Bytes held for everything: never more than `maxmemory`. */
  used_memory: number;
  /** Bytes of that in live records. */
  used_memory_dataset: number;
  /** The budget in bytes. */
  maxmemory: number;
  /** Keys, those included that expired and were not yet noticed. */
  keys: number;
  /** Keys of those with a deadline. */
  expires: number;
  keyspace_hits: number;
  keyspace_misses: number;
  expired_keys: number;
  evicted_keys: number;
  /** Bytes of records moved to make whole blocks free. */
  compacted_bytes: number;
  /** Keys whose value is compressed: only `@ferrite/edge/compressed` says so. */
  compressed_keys?: number;
  /** Bytes of the WebAssembly instance's memory, which holds all of the above. */
  linear_memory: number;
  /** How often the instance had to be replaced, which empties the cache. */
  instance_resets: number;
}

/** The policies by which keys leave when the memory is used up. */
export type EvictionPolicy =
  | "noeviction"
  | "allkeys-lru" | "allkeys-lfu" | "allkeys-random" | "allkeys-s3fifo" | "allkeys-gdsf"
  | "volatile-lru" | "volatile-lfu" | "volatile-random" | "volatile-ttl";

/** Those of them that `@ferrite/edge/lite` knows: the two that learn are left out. */
export type LiteEvictionPolicy = Exclude<EvictionPolicy, "allkeys-s3fifo" | "allkeys-gdsf">;

/** The options of `initFerrite`. */
export interface FerriteOptions {
  /** Everything the cache may hold: bytes, or text such as "64mb". The default is "32mb". */
  maxMemory?: number | string;
  /** What leaves when that is used up. The default is "allkeys-lru". */
  evictionPolicy?: EvictionPolicy;
  /**
   * Whether strings that are not in use are compressed while memory is short. The default is false.
   * Only `@ferrite/edge/compressed` can; its types and methods are the same.
   */
  compression?: boolean;
  /** Where the time comes from, in milliseconds since 1970. The default is `Date`. */
  clock?: { now(): number };
}

/** The options of `initFerrite` in `@ferrite/edge/lite`. */
export interface LiteOptions extends FerriteOptions {
  evictionPolicy?: LiteEvictionPolicy;
  compression?: false;
}

/**
 * A compiled WebAssembly module, as importing `@ferrite/edge/ferrite.wasm` gives it where a runtime
 * supports that. (Without the name `WebAssembly.Module`, which not every project's types know.)
 */
export interface FerriteModule {
  readonly maxMemory?: never;
  readonly evictionPolicy?: never;
  readonly compression?: never;
  readonly clock?: never;
}
