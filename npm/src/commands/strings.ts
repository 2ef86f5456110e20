// Commands on strings, without the hot ones: GET and SET have a way of their own
// (../lite-cache.ts).

import type { Key, MaybeKey, Value } from "../types.js";
import {
  flat, inTurn, isKey, wordsOf,
  type NoneOf, type OneOf, type Pair, type Pairs, type Several,
} from "./commands.js";
import { KeyCommands } from "./keys.js";

interface GetexChoices {
  /** Lets it expire in so many seconds. */
  ex: number;
  /** Lets it expire in so many milliseconds. */
  px: number;
  /** Lets it expire at this Unix time in seconds. */
  exat: number;
  /** Lets it expire at this Unix time in milliseconds. */
  pxat: number;
  /** Takes its expiry away. */
  persist: boolean;
}

/** The options of GETEX: one of them, or none. */
export type GetexOptions = OneOf<GetexChoices> | NoneOf<GetexChoices>;

export abstract class StringCommands extends KeyCommands {
  /** The values of several keys, in their order; null for what is not there or no string. */
  mget(...keys: Several<MaybeKey>): (string | null)[] {
    const wanted = flat(keys);
    const there = wanted.filter(isKey);
    if (there.length < wanted.length && there.length === 0) return wanted.map(() => null);
    const values = (this.run("mget", there, Infinity) as (string | null)[]).values();
    return wanted.map((key) => isKey(key) ? values.next().value ?? null : null);
  }

  /**
   * Sets several keys, given as pairs: all of them, or, if that fails, none. Together they are held
   * to the limit of one call (61432 bytes), which `set` is not.
   */
  mset(pairs: Iterable<Pair>): "OK";
  /** The same, given as an object. */
  mset(pairs: Pairs): "OK";
  mset(pairs: Pairs): "OK" {
    return this.run("mset", inTurn(pairs), Infinity, 2) as "OK";
  }

  /** `mset` if none of the keys is there, given as pairs: 1, or 0. */
  msetnx(pairs: Iterable<Pair>): number;
  /** The same, given as an object. */
  msetnx(pairs: Pairs): number;
  msetnx(pairs: Pairs): number {
    return this.number("msetnx", inTurn(pairs), Infinity, 2);
  }

  /** The value of a key, or null; and changes its expiry. */
  getex(key: MaybeKey, options: GetexOptions = {}): string | null {
    const words = wordsOf("getex", options, ["ex", "px", "exat", "pxat"], "persist");
    return this.read<string | null>("getex", key, words, null);
  }

  /** The value of a key, or null; and drops the key. */
  getdel(key: MaybeKey): string | null {
    return this.read<string | null>("getdel", key, [], null);
  }

  /** Sets a key for good. The value that was there before, or null. */
  getset(key: Key, value: Value): string | null {
    return this.store("getset", key, value, { get: true });
  }

  /** Sets a key if it is not there: 1, or 0. */
  setnx(key: Key, value: Value): number {
    return Number(this.store("setnx", key, value, { nx: true }) !== null);
  }

  /** Sets a key for so many seconds. */
  setex(key: Key, seconds: number, value: Value): "OK" {
    return this.store("setex", key, value, { ex: seconds }) as "OK";
  }

  /** Sets a key for so many milliseconds. */
  psetex(key: Key, milliseconds: number, value: Value): "OK" {
    return this.store("psetex", key, value, { px: milliseconds }) as "OK";
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

  /** The length of a string in bytes; 0 if it is not there. */
  strlen(key: MaybeKey): number {
    return this.read("strlen", key, [], 0);
  }
}
