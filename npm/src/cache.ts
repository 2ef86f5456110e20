// The cache as users see it: Redis's commands in lower case, synchronous.
// Invariant: after any exception that came through the engine, the instance is not used again.
// Not here: what a command does, which is the engine's, and how bytes cross (instance.ts).

import { FerriteError } from "./error.js";
import {
  asCopy, asText, failed, Instance, missing, mode, type Decode, type Decoded,
} from "./instance.js";
import type {
  ExpireCondition, FerriteModule, FerriteStats, Key, MaybeKey, Reply, ScanOptions, SetOptions,
  Value,
} from "./types.js";

/** What `initFerrite` has made of its options. */
export interface Configuration {
  module: FerriteModule;
  /** As it was given: the engine reads it. */
  maxMemory: string;
  evictionPolicy: string;
  clock: { now(): number };
}

// Expired keys leave when somebody asks for them, and a few with each write: every 64th operation
// that may write looks at 16 buckets of about 8 keys. At that pace the whole cache is looked
// through before it could double, and no operation takes noticeably longer.
const writesPerTick = 64;
const bucketsPerTick = 16;

/** Buckets that `tick` looks at unless told. */
const bucketsByDefault = 1024;

/** A cache in the memory of this isolate or process. */
export class FerriteCache {
  private instance: Instance;
  private isOpen = false;
  private writes = 0;
  private resets = 0;

  /** @internal Users call `initFerrite`. */
  constructor(private readonly configuration: Configuration, instance: Instance) {
    this.instance = instance;
  }

  /** The value of a key as text, or null. What is not UTF-8 is better read with `getBytes`. */
  get(key: MaybeKey): string | null {
    const length = this.find(key);
    return length < 0 ? null : this.instance.text(length);
  }

  /** The value of a key as bytes, or null. The bytes are the caller's own. */
  getBytes(key: MaybeKey): Uint8Array<ArrayBuffer> | null {
    const length = this.find(key);
    return length < 0 ? null : this.instance.copy(length);
  }

  /** Gives a key a value: "OK", or null if the condition did not hold. */
  set(key: Key, value: Value, options?: SetOptions & { get?: false }): "OK" | null;
  /** With `get`: the value that was there before, or null. */
  set(key: Key, value: Value, options: SetOptions & { get: true }): string | null;
  set(key: Key, value: Value, options?: SetOptions): string | null;
  set(key: Key, value: Value, options?: SetOptions): string | null {
    const { bits, expiry } = options === undefined ? plain : readSetOptions(options);
    const now = this.begin(true);
    const { instance } = this;
    const keyLength = instance.putKey(key);
    let result: number;
    try {
      result = instance.set(now, keyLength, value, bits, expiry);
    } catch (error) {
      throw this.lost(error);
    }
    instance.refresh();
    if (result >= 0 && !(bits & mode.withOld)) return result === 1 ? "OK" : null;
    return instance.reply(result, asText) as string | null;
  }

  /** The values of several keys, in their order. */
  mget(...keys: MaybeKey[] | [readonly MaybeKey[]]): (string | null)[] {
    const wanted = flat(keys);
    const there = wanted.filter(isKey);
    if (there.length < wanted.length && there.length === 0) return wanted.map(() => null);
    const values = (this.run("mget", there) as (string | null)[]).values();
    return wanted.map((key) => isKey(key) ? values.next().value ?? null : null);
  }

  /** Sets several keys: all of them, or, if that fails, none. Takes an object or pairs. */
  mset(pairs: Iterable<readonly [Key, Value]>): "OK";
  mset(pairs: Readonly<Record<string, Value>>): "OK";
  mset(pairs: Readonly<Record<string, Value>> | Iterable<readonly [Key, Value]>): "OK" {
    const entries = Symbol.iterator in pairs
      ? [...pairs as Iterable<readonly [Key, Value]>] : Object.entries(pairs);
    return this.run("mset", entries.flat()) as "OK";
  }

  /** Drops keys. How many were there. */
  del(...keys: Key[] | [readonly Key[]]): number {
    return this.number("del", flat(keys));
  }

  /** How many of the keys are there; a key that is named twice counts twice. */
  exists(...keys: MaybeKey[] | [readonly MaybeKey[]]): number {
    const wanted = flat(keys);
    const there = wanted.filter(isKey);
    return wanted.length > 0 && there.length === 0 ? 0 : this.number("exists", there);
  }

  /** Lets a key expire in so many seconds. 1, or 0 if there is no such key or it may not. */
  expire(key: Key, seconds: number, ...conditions: ExpireCondition[]): number {
    return this.number("expire", [key, seconds, ...conditions]);
  }

  /** Lets a key expire in so many milliseconds. */
  pexpire(key: Key, milliseconds: number, ...conditions: ExpireCondition[]): number {
    return this.number("pexpire", [key, milliseconds, ...conditions]);
  }

  /** Lets a key expire at a Unix time in seconds. */
  expireat(key: Key, unixSeconds: number, ...conditions: ExpireCondition[]): number {
    return this.number("expireat", [key, unixSeconds, ...conditions]);
  }

  /** Lets a key expire at a Unix time in milliseconds. */
  pexpireat(key: Key, unixMilliseconds: number, ...conditions: ExpireCondition[]): number {
    return this.number("pexpireat", [key, unixMilliseconds, ...conditions]);
  }

  /** Seconds that a key has still to live; -1 if it does not expire, -2 if it is not there. */
  ttl(key: MaybeKey): number {
    return isKey(key) ? this.number("ttl", [key]) : -2;
  }

  /** Milliseconds that a key has still to live; -1 if it does not expire, -2 if it is not there. */
  pttl(key: MaybeKey): number {
    return isKey(key) ? this.number("pttl", [key]) : -2;
  }

  /** Takes a key's expiry away. 1, or 0 if it had none. */
  persist(key: Key): number {
    return this.number("persist", [key]);
  }

  /** The type of a key's value, or "none". */
  type(key: MaybeKey): string {
    return isKey(key) ? this.run("type", [key]) as string : "none";
  }

  /** Adds one to an integer. Like its sisters it counts in 64 bits: beyond 2^53 use `call`. */
  incr(key: Key): number {
    return this.number("incr", [key]);
  }

  /** Subtracts one from an integer. */
  decr(key: Key): number {
    return this.number("decr", [key]);
  }

  /** Adds to an integer, which starts at zero. The sum. */
  incrby(key: Key, increment: number | bigint): number {
    return this.number("incrby", [key, increment]);
  }

  /** Subtracts from an integer, which starts at zero. The difference. */
  decrby(key: Key, decrement: number | bigint): number {
    return this.number("decrby", [key, decrement]);
  }

  /** Adds to the end of a string. Its length in bytes afterwards. */
  append(key: Key, value: Value): number {
    return this.number("append", [key, value]);
  }

  /** The length of a string in bytes; 0 if it is not there. */
  strlen(key: MaybeKey): number {
    return isKey(key) ? this.number("strlen", [key]) : 0;
  }

  /** All keys that match a pattern. */
  keys(pattern: Key = "*"): string[] {
    return this.run("keys", [pattern]) as string[];
  }

  /**
   * Some of the keys, and a cursor to go on with: "0" starts, and "0" is the end. A key that is
   * there all the while comes at least once.
   */
  scan(cursor: string | number | bigint, options: ScanOptions = {}): [string, string[]] {
    const given = [cursor, ...readOptions(options, ["match", "count", "type"]).flat()];
    return this.run("scan", given) as [string, string[]];
  }

  /** All keys, a few at a time; the cache may change in between. */
  *scanIterator(options?: ScanOptions): Generator<string, void, undefined> {
    let cursor = "0";
    do {
      const [next, keys] = this.scan(cursor, options);
      yield* keys;
      cursor = next;
    } while (cursor !== "0");
  }

  /** The number of keys, those included that expired and were not yet noticed. */
  dbsize(): number {
    return this.number("dbsize", []);
  }

  /** Drops every key. */
  flushdb(how?: "ASYNC" | "SYNC"): "OK" {
    return this.run("flushdb", how === undefined ? [] : [how]) as "OK";
  }

  /** "PONG", or the message. */
  ping(message?: Value): string {
    return this.run("ping", message === undefined ? [] : [message]) as string;
  }

  /** Any command by its name, with its arguments as Redis takes them. */
  call(name: string, ...values: Value[]): Reply {
    return this.run(name, values) as Reply;
  }

  /** The same with strings as bytes; only short fixed texts such as OK are still text. */
  callBytes(name: string, ...values: Value[]): Reply<Uint8Array<ArrayBuffer> | string> {
    return this.decode(name, values, asCopy);
  }

  /** Looks for expired keys among the next `8 * buckets` or so. How many it dropped. */
  tick(buckets: number = bucketsByDefault): number {
    const now = this.begin(false);
    try {
      return this.instance.exports.tick(now, buckets);
    } catch (error) {
      throw this.lost(error);
    }
  }

  /** What the cache tells about itself. */
  stats(): FerriteStats {
    this.open();
    const { instance } = this;
    let length: number;
    try {
      length = instance.exports.stats();
    } catch (error) {
      throw this.lost(error);
    }
    const pairs = instance.ownReply(length, asText) as Decoded<string>[];
    const stats: Record<string, number> = {};
    for (let at = 0; at < pairs.length; at += 2) {
      stats[pairs[at] as string] = Number(pairs[at + 1]);
    }
    stats.linear_memory = instance.exports.memory.buffer.byteLength;
    stats.instance_resets = this.resets;
    return stats as unknown as FerriteStats;
  }

  private find(key: MaybeKey): number {
    if (!isKey(key)) return missing;
    const now = this.begin(false);
    const { instance } = this;
    const keyLength = instance.putKey(key);
    let length: number;
    try {
      length = instance.exports.get(now, keyLength);
    } catch (error) {
      throw this.lost(error);
    }
    instance.refresh();
    if (length === failed) throw new FerriteError(instance.complaint());
    return length;
  }

  private number(name: string, values: readonly Value[]): number {
    return Number(this.run(name, values));
  }

  private run(name: string, values: readonly Value[]): Decoded<string> {
    return this.decode(name, values, asText);
  }

  private decode<Text>(
    name: string, values: readonly Value[], decode: Decode<Text>,
  ): Decoded<Text> {
    const now = this.begin(true);
    const { instance } = this;
    let length: number;
    try {
      length = instance.call(now, name, values);
    } catch (error) {
      throw this.lost(error);
    }
    instance.refresh();
    return instance.reply(length, decode);
  }

  /** What comes before every operation. The time, which nobody may ask for in the middle. */
  private begin(mayWrite: boolean): number {
    if (!this.isOpen) this.open();
    const now = this.configuration.clock.now();
    if (mayWrite && ++this.writes % writesPerTick === 0) {
      try {
        this.instance.exports.tick(now, bucketsPerTick);
      } catch (error) {
        throw this.lost(error);
      }
    }
    return now;
  }

  private open(): void {
    if (this.isOpen) return;
    this.instance.open();
    this.isOpen = true;
  }

  /** Replaces the instance, unless the error is the wrapper's own and nothing happened to it. */
  private lost(error: unknown): unknown {
    if (error instanceof FerriteError) return error;
    const { module, maxMemory, evictionPolicy } = this.configuration;
    this.instance = new Instance(module);
    this.instance.configure(maxMemory, evictionPolicy);
    this.isOpen = false;
    this.resets++;
    return new FerriteError("RESET the engine failed and was started anew: the cache is empty, "
      + "and this operation did not happen", { cause: error });
  }
}

function isKey(key: unknown): key is Key {
  return key !== null && key !== undefined;
}

function flat<T>(given: readonly (T | readonly T[])[]): T[] {
  return given.flat() as T[];
}

/** The options that are there, as Redis's words and their values. What is not known is an error. */
function readOptions<Name extends string>(
  options: object, known: readonly Name[],
): [Name, Value][] {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  if (given.some(([name]) => !known.includes(name as Name))) throw syntaxError();
  return given as [Name, Value][];
}

const plain = { bits: 0, expiry: 0 };
const setOptions = [
  "ex", "px", "exat", "pxat", "keepTtl", "keepttl", "nx", "xx", "get",
] as const;

function readSetOptions(options: SetOptions): { bits: number; expiry: number } {
  let bits = 0;
  let expiry = 0;
  const expireOnce = (kind: number) => {
    if (bits & mode.at) throw syntaxError();
    bits |= kind;
  };
  for (const [name, value] of readOptions(options, setOptions)) {
    if (name === "ex" || name === "px" || name === "exat" || name === "pxat") {
      expireOnce(name.endsWith("at") ? mode.at : mode.in);
      if (typeof value !== "number" || !Number.isSafeInteger(value)) {
        throw new FerriteError("ERR value is not an integer or out of range");
      }
      expiry = name.startsWith("e") ? 1000 * value : value;
    } else if (typeof value !== "boolean") {
      throw syntaxError();
    } else if (value) {
      if (name === "get") bits |= mode.withOld;
      else if (name === "nx") bits |= mode.ifAbsent;
      else if (name === "xx") bits |= mode.ifPresent;
      else expireOnce(mode.keep);
    }
  }
  const both = mode.ifAbsent | mode.ifPresent;
  if ((bits & both) === both) throw syntaxError();
  return { bits, expiry };
}

function syntaxError(): FerriteError {
  return new FerriteError("ERR syntax error");
}
