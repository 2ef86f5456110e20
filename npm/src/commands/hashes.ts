// Commands on hashes. Their fields are names like keys, and what a hash holds is a record.

import type { ExpireCondition, Key, MaybeKey, ScanOptions, Value } from "../types.js";
import {
  flat, ifGiven, inPairs, inTurn, scanned, wordsOf, type Pair, type Pairs, type Several,
} from "./commands.js";
import { MoreCommands } from "./more.js";

/** The options of HSCAN and SSCAN. */
export type MemberScanOptions = Pick<ScanOptions, "match" | "count">;

export abstract class HashCommands extends MoreCommands {
  /** Sets a field of a hash. How many fields are new: 1, or 0. */
  hset(key: Key, field: Key, value: Value): number;
  /** Sets fields, given as pairs. How many of them are new. */
  hset(key: Key, fields: Iterable<Pair>): number;
  /** Sets fields, given as an object. How many of them are new. */
  hset(key: Key, fields: Pairs): number;
  hset(key: Key, first: Key | Pairs, ...rest: Value[]): number {
    const values = rest.length > 0 ? [first as Key, ...rest] : inTurn(first as Pairs);
    return this.number("hset", [key, ...values]);
  }

  /** `hset` by its older name, for pairs. It answers "OK". */
  hmset(key: Key, fields: Iterable<Pair>): "OK";
  /** `hset` by its older name, for an object. It answers "OK". */
  hmset(key: Key, fields: Pairs): "OK";
  hmset(key: Key, fields: Pairs): "OK" {
    return this.run("hmset", [key, ...inTurn(fields)]) as "OK";
  }

  /** Sets a field if it is not there: 1, or 0. */
  hsetnx(key: Key, field: Key, value: Value): number {
    return this.number("hsetnx", [key, field, value]);
  }

  /** The value of a field, or null. */
  hget(key: MaybeKey, field: Key): string | null {
    return this.read<string | null>("hget", key, [field], null);
  }

  /** The values of several fields, in their order; null for those that are not there. */
  hmget(key: MaybeKey, ...fields: Several<Key>): (string | null)[] {
    const wanted = flat(fields);
    return this.read<(string | null)[]>("hmget", key, wanted, wanted.map(() => null));
  }

  /**
   * All fields with their values, or null if there is no such hash. Each field is a property of the
   * object itself, whatever its name; with names from outside ask `Object.hasOwn`, or `hget`.
   */
  hgetall(key: MaybeKey): Record<string, string> | null {
    const items = this.read<string[]>("hgetall", key, [], []);
    if (items.includes("__proto__")) return Object.fromEntries(inPairs(items));
    // For all others it is done without a pair for each.
    const record: Record<string, string> = {};
    for (let at = 0; at < items.length; at += 2) record[items[at]!] = items[at + 1]!;
    return items.length > 0 ? record : null;
  }

  /** All fields. */
  hkeys(key: MaybeKey): string[] {
    return this.read<string[]>("hkeys", key, [], []);
  }

  /** The values of all fields. */
  hvals(key: MaybeKey): string[] {
    return this.read<string[]>("hvals", key, [], []);
  }

  /** The number of fields. */
  hlen(key: MaybeKey): number {
    return this.read("hlen", key, [], 0);
  }

  /** Whether a field is there: 1, or 0. */
  hexists(key: MaybeKey, field: Key): number {
    return this.read("hexists", key, [field], 0);
  }

  /** The length of a field's value in bytes; 0 if it is not there. */
  hstrlen(key: MaybeKey, field: Key): number {
    return this.read("hstrlen", key, [field], 0);
  }

  /** Drops fields, and the hash with the last of them. How many were there. */
  hdel(key: Key, ...fields: Several<Key>): number {
    return this.number("hdel", [key, ...flat(fields)]);
  }

  /** Adds to an integer in a field, which starts at zero. The sum: see `incr`. */
  hincrby(key: Key, field: Key, increment: number | bigint): number {
    return this.number("hincrby", [key, field, increment]);
  }

  /** Adds to a decimal number in a field, which starts at zero. The sum: see `incrbyfloat`. */
  hincrbyfloat(key: Key, field: Key, increment: number | string): number {
    return this.number("hincrbyfloat", [key, field, increment]);
  }

  /** Any of the fields, or null. */
  hrandfield(key: MaybeKey): string | null;
  /** So many different fields, or all; with a negative count just so many, any of them often. */
  hrandfield(key: MaybeKey, count: number, options?: { withValues?: false }): string[];
  /** The same with their values. */
  hrandfield(key: MaybeKey, count: number, options: { withValues: true }): [string, string][];
  hrandfield(
    key: MaybeKey, count: number, options: { withValues?: boolean },
  ): string[] | [string, string][];
  hrandfield(
    key: MaybeKey, count?: number, options: { withValues?: boolean } = {},
  ): string | string[] | [string, string][] | null {
    if (count === undefined) return this.read<string | null>("hrandfield", key, [], null);
    const words = wordsOf("hrandfield", options, [], "withValues");
    const items = this.read<string[]>("hrandfield", key, [count, ...words], []);
    return words.length > 0 ? inPairs(items) : items;
  }

  /** Some of the fields with their values, and a cursor to go on with: see `scan`. */
  hscan(
    key: MaybeKey, cursor: string | number | bigint, options: MemberScanOptions = {},
  ): [string, [string, string][]] {
    const words = wordsOf("hscan", options, ["match", "count"]);
    const [next, items] = this.read<[string, string[]]>(
      "hscan", key, [cursor, ...words], ["0", []]);
    return [next, inPairs(items)];
  }

  /** All fields with their values, a few at a time; the hash may change in between. */
  hscanIterator(
    key: MaybeKey, options?: MemberScanOptions,
  ): Generator<[string, string], void, undefined> {
    return scanned((cursor) => this.hscan(key, cursor, options));
  }

  /**
   * Lets fields expire in so many seconds. For each: 1; 0 if the condition does not hold; 2 if it
   * is gone, since that time is past; -2 if it is not there.
   */
  hexpire(
    key: Key, fields: Key | readonly Key[], seconds: number, condition?: ExpireCondition,
  ): number[] {
    return this.setDeadlines("hexpire", key, fields, seconds, condition);
  }

  /** Lets fields expire in so many milliseconds: see `hexpire`. */
  hpexpire(
    key: Key, fields: Key | readonly Key[], milliseconds: number, condition?: ExpireCondition,
  ): number[] {
    return this.setDeadlines("hpexpire", key, fields, milliseconds, condition);
  }

  /** Lets fields expire at a Unix time in seconds: see `hexpire`. */
  hexpireat(
    key: Key, fields: Key | readonly Key[], unixSeconds: number, condition?: ExpireCondition,
  ): number[] {
    return this.setDeadlines("hexpireat", key, fields, unixSeconds, condition);
  }

  /** Lets fields expire at a Unix time in milliseconds: see `hexpire`. */
  hpexpireat(
    key: Key, fields: Key | readonly Key[], unixMilliseconds: number, condition?: ExpireCondition,
  ): number[] {
    return this.setDeadlines("hpexpireat", key, fields, unixMilliseconds, condition);
  }

  /** Seconds that fields have still to live; -1 for no expiry, -2 for what is not there. */
  httl(key: MaybeKey, fields: Key | readonly Key[]): number[] {
    return this.ofEach("httl", key, fields);
  }

  /** Milliseconds that fields have still to live; -1 for no expiry, -2 for what is not there. */
  hpttl(key: MaybeKey, fields: Key | readonly Key[]): number[] {
    return this.ofEach("hpttl", key, fields);
  }

  /** The Unix times in seconds when fields expire; -1 for never, -2 for what is not there. */
  hexpiretime(key: MaybeKey, fields: Key | readonly Key[]): number[] {
    return this.ofEach("hexpiretime", key, fields);
  }

  /** The Unix times in milliseconds when fields expire; -1 for never, -2 for what is not there. */
  hpexpiretime(key: MaybeKey, fields: Key | readonly Key[]): number[] {
    return this.ofEach("hpexpiretime", key, fields);
  }

  /** Takes the expiry of fields away. For each: 1; -1 if it had none; -2 if it is not there. */
  hpersist(key: Key, fields: Key | readonly Key[]): number[] {
    return this.run("hpersist", [key, ...counted(fields)]) as number[];
  }

  private setDeadlines(
    name: string, key: Key, fields: Key | readonly Key[], time: number,
    condition: ExpireCondition | undefined,
  ): number[] {
    return this.run(name, [key, time, ...ifGiven(condition), ...counted(fields)]) as number[];
  }

  private ofEach(name: string, key: MaybeKey, fields: Key | readonly Key[]): number[] {
    const words = counted(fields);
    return this.read<number[]>(name, key, words, words.slice(2).map(() => -2));
  }
}

/** Fields as the commands on their expiry take them. */
function counted(fields: Key | readonly Key[]): Value[] {
  const all = flat([fields]);
  return ["FIELDS", all.length, ...all];
}
