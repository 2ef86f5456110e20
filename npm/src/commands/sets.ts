// Commands on sets. Members come as arrays, in no order that anybody promises.

import type { Key, MaybeKey, Value } from "../types.js";
import { counted, flat, ifGiven, scanned, wordsOf, type Several } from "./commands.js";
import type { MemberScanOptions } from "./hashes.js";
import { ListCommands } from "./lists.js";

export abstract class SetCommands extends ListCommands {
  /** Adds members to a set. How many are new. */
  sadd(key: Key, ...members: Several<Value>): number {
    return this.number("sadd", [key, ...flat(members)]);
  }

  /** Drops members, and the set with the last of them. How many were there. */
  srem(key: Key, ...members: Several<Value>): number {
    return this.number("srem", [key, ...flat(members)]);
  }

  /** Whether a set has a member: 1, or 0. */
  sismember(key: MaybeKey, member: Value): number {
    return this.read("sismember", key, [member], 0);
  }

  /** Whether a set has each of these members: 1, or 0, in their order. */
  smismember(key: MaybeKey, ...members: Several<Value>): number[] {
    const asked = flat(members);
    return this.read<number[]>("smismember", key, asked, asked.map(() => 0));
  }

  /** All members. */
  smembers(key: MaybeKey): string[] {
    return this.read<string[]>("smembers", key, [], []);
  }

  /** The number of members. */
  scard(key: MaybeKey): number {
    return this.read("scard", key, [], 0);
  }

  /** Takes any of the members, or null. */
  spop(key: Key): string | null;
  /** Takes up to so many of the members. */
  spop(key: Key, count: number): string[];
  spop(key: Key, count?: number): string | string[] | null {
    return this.run("spop", [key, ...ifGiven(count)]) as string | string[] | null;
  }

  /** Any of the members, or null. */
  srandmember(key: MaybeKey): string | null;
  /** So many different members, or all; with a negative count just so many, any of them often. */
  srandmember(key: MaybeKey, count: number): string[];
  srandmember(key: MaybeKey, count?: number): string | string[] | null {
    const ifMissing = count === undefined ? null : [];
    return this.read<string | string[] | null>("srandmember", key, ifGiven(count), ifMissing);
  }

  /** Moves a member from one set to another: 1, or 0 if it is not there. */
  smove(source: Key, destination: Key, member: Value): number {
    return this.number("smove", [source, destination, member], 2);
  }

  /** The members that all of the sets have. */
  sinter(...keys: Several<Key>): string[] {
    return this.run("sinter", flat(keys), Infinity) as string[];
  }

  /** Stores the members that all of the sets have. How many they are. */
  sinterstore(destination: Key, ...keys: Several<Key>): number {
    return this.number("sinterstore", [destination, ...flat(keys)], Infinity);
  }

  /** How many members all of the sets have; with a limit it stops counting there. */
  sintercard(keys: Key | readonly Key[], options: { limit?: number } = {}): number {
    const words = wordsOf("sintercard", options, ["limit"]);
    return this.number("sintercard", [...counted("sintercard", keys), ...words], 0);
  }

  /** The members that any of the sets has. */
  sunion(...keys: Several<Key>): string[] {
    return this.run("sunion", flat(keys), Infinity) as string[];
  }

  /** Stores the members that any of the sets has. How many they are. */
  sunionstore(destination: Key, ...keys: Several<Key>): number {
    return this.number("sunionstore", [destination, ...flat(keys)], Infinity);
  }

  /** The members of the first set that none of the others has. */
  sdiff(...keys: Several<Key>): string[] {
    return this.run("sdiff", flat(keys), Infinity) as string[];
  }

  /** Stores the members of the first set that none of the others has. How many they are. */
  sdiffstore(destination: Key, ...keys: Several<Key>): number {
    return this.number("sdiffstore", [destination, ...flat(keys)], Infinity);
  }

  /** Some of the members, and a cursor to go on with: see `scan`. */
  sscan(
    key: MaybeKey, cursor: string | number | bigint, options: MemberScanOptions = {},
  ): [string, string[]] {
    const words = wordsOf("sscan", options, ["match", "count"]);
    return this.read<[string, string[]]>("sscan", key, [cursor, ...words], ["0", []]);
  }

  /** All members, a few at a time; the set may change in between. */
  sscanIterator(
    key: MaybeKey, options?: MemberScanOptions,
  ): Generator<string, void, undefined> {
    return scanned((cursor) => this.sscan(key, cursor, options));
  }
}
