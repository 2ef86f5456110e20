// Commands on keys of any type, on all keys, and PING.

import type { ExpireCondition, Key, MaybeKey, ScanOptions, Value } from "../types.js";
import { Commands, flat, ifGiven, isKey, scanned, wordsOf, type Several } from "./commands.js";

export abstract class KeyCommands extends Commands {
  /** Drops keys. How many were there. */
  del(...keys: Several<Key>): number {
    return this.number("del", flat(keys), Infinity);
  }

  /** `del` by another name: here nothing is left for later. */
  unlink(...keys: Several<Key>): number {
    return this.number("unlink", flat(keys), Infinity);
  }

  /** How many of the keys are there; a key that is named twice counts twice. */
  exists(...keys: Several<MaybeKey>): number {
    return this.countOf("exists", keys);
  }

  /** Uses keys without reading them, for the sake of eviction. How many are there. */
  touch(...keys: Several<MaybeKey>): number {
    return this.countOf("touch", keys);
  }

  private countOf(name: string, keys: Several<MaybeKey>): number {
    const wanted = flat(keys);
    const there = wanted.filter(isKey);
    return wanted.length > 0 && there.length === 0 ? 0 : this.number(name, there, Infinity);
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
    return this.read("ttl", key, [], -2);
  }

  /** Milliseconds that a key has still to live; -1 if it does not expire, -2 if it is not there. */
  pttl(key: MaybeKey): number {
    return this.read("pttl", key, [], -2);
  }

  /** The Unix time in seconds when a key expires; -1 if it does not, -2 if it is not there. */
  expiretime(key: MaybeKey): number {
    return this.read("expiretime", key, [], -2);
  }

  /** The Unix time in milliseconds when a key expires; -1 if it does not, -2 if it is not there. */
  pexpiretime(key: MaybeKey): number {
    return this.read("pexpiretime", key, [], -2);
  }

  /** Takes a key's expiry away. 1, or 0 if it had none. */
  persist(key: Key): number {
    return this.number("persist", [key]);
  }

  /** The type of a key's value, or "none". */
  type(key: MaybeKey): string {
    return this.read("type", key, [], "none");
  }

  /** All keys that match a pattern. */
  keys(pattern: Key = "*"): string[] {
    return this.run("keys", [pattern], 0) as string[];
  }

  /** Any of the keys, each as likely as another; null if there is none. */
  randomkey(): string | null {
    return this.run("randomkey", []) as string | null;
  }

  /**
   * Some of the keys, and a cursor to go on with: "0" starts, and "0" is the end. A key that is
   * there all the while comes at least once.
   */
  scan(cursor: string | number | bigint, options: ScanOptions = {}): [string, string[]] {
    const words = wordsOf("scan", options, ["match", "count", "type"]);
    return this.run("scan", [cursor, ...words], 0) as [string, string[]];
  }

  /** All keys, a few at a time; the cache may change in between. */
  scanIterator(options?: ScanOptions): Generator<string, void, undefined> {
    return scanned((cursor) => this.scan(cursor, options));
  }

  /** The number of keys, those included that expired and were not yet noticed. */
  dbsize(): number {
    return this.number("dbsize", []);
  }

  /** Drops every key. */
  flushdb(how?: "ASYNC" | "SYNC"): "OK" {
    return this.run("flushdb", ifGiven(how), 0) as "OK";
  }

  /** "PONG", or the message. */
  ping(message?: Value): string {
    return this.run("ping", ifGiven(message), 0) as string;
  }
}
