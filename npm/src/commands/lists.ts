// Commands on lists. Those that wait for an element are not here: nothing at the edge can wait.

import type { Key, MaybeKey, Value } from "../types.js";
import { counted, flat, ifGiven, wordsOf, type Several } from "./commands.js";
import { HashCommands } from "./hashes.js";

/** An end of a list. */
export type ListEnd = "LEFT" | "RIGHT" | "left" | "right";

/** The options of LPOS. */
export interface LposOptions {
  /** Which of the matches comes first: 2 is the second, -1 the last, and so on backwards. */
  rank?: number;
  /** How many elements to look at: all, if it is 0. */
  maxlen?: number;
}

export abstract class ListCommands extends HashCommands {
  /** Adds elements at the head of a list, so that the last one is first. Its length. */
  lpush(key: Key, ...values: Several<Value>): number {
    return this.number("lpush", [key, ...flat(values)]);
  }

  /** Adds elements at the end of a list. Its length. */
  rpush(key: Key, ...values: Several<Value>): number {
    return this.number("rpush", [key, ...flat(values)]);
  }

  /** Adds elements at the head of a list, if there is one. Its length, or 0. */
  lpushx(key: Key, ...values: Several<Value>): number {
    return this.number("lpushx", [key, ...flat(values)]);
  }

  /** Adds elements at the end of a list, if there is one. Its length, or 0. */
  rpushx(key: Key, ...values: Several<Value>): number {
    return this.number("rpushx", [key, ...flat(values)]);
  }

  /** Takes the first element, or null if there is no such list. */
  lpop(key: Key): string | null;
  /** Takes up to so many elements from the head, or null if there is no such list. */
  lpop(key: Key, count: number): string[] | null;
  lpop(key: Key, count?: number): string | string[] | null {
    return this.run("lpop", [key, ...ifGiven(count)]) as string | string[] | null;
  }

  /** Takes the last element, or null if there is no such list. */
  rpop(key: Key): string | null;
  /** Takes up to so many elements, from the last on, or null if there is no such list. */
  rpop(key: Key, count: number): string[] | null;
  rpop(key: Key, count?: number): string | string[] | null {
    return this.run("rpop", [key, ...ifGiven(count)]) as string | string[] | null;
  }

  /** Takes up to `count` elements (or one) from the first list that is there, with its name. */
  lmpop(
    keys: Key | readonly Key[], end: ListEnd, options: { count?: number } = {},
  ): [string, string[]] | null {
    const words = [...counted("lmpop", keys), end, ...wordsOf("lmpop", options, ["count"])];
    return this.run("lmpop", words, 0) as [string, string[]] | null;
  }

  /** The number of elements. */
  llen(key: MaybeKey): number {
    return this.read("llen", key, [], 0);
  }

  /** The element at an index, negative ones counting from the end; or null. */
  lindex(key: MaybeKey, index: number): string | null {
    return this.read<string | null>("lindex", key, [index], null);
  }

  /** Elements `start` to `stop`, that one included; negative indexes count from the end. */
  lrange(key: MaybeKey, start: number, stop: number): string[] {
    return this.read<string[]>("lrange", key, [start, stop], []);
  }

  /** The index of an element, or null. */
  lpos(key: MaybeKey, value: Value, options?: LposOptions & { count?: never }): number | null;
  /** The indexes of up to so many elements that are equal, of all if `count` is 0. */
  lpos(key: MaybeKey, value: Value, options: LposOptions & { count: number }): number[];
  lpos(
    key: MaybeKey, value: Value, options: LposOptions & { count?: number } = {},
  ): number | number[] | null {
    const words = wordsOf("lpos", options, ["rank", "maxlen", "count"]);
    const ifMissing = options.count === undefined ? null : [];
    return this.read<number | number[] | null>("lpos", key, [value, ...words], ifMissing);
  }

  /** Replaces the element at an index, which must be there. */
  lset(key: Key, index: number, value: Value): "OK" {
    return this.run("lset", [key, index, value]) as "OK";
  }

  /** Adds an element beside another. The length; -1 if that one is not there, 0 without a list. */
  linsert(
    key: Key, where: "BEFORE" | "AFTER" | "before" | "after", pivot: Value, value: Value,
  ): number {
    return this.number("linsert", [key, where, pivot, value]);
  }

  /** Drops `count` elements equal to the value, from the end if negative; all, if 0. How many. */
  lrem(key: Key, count: number, value: Value): number {
    return this.number("lrem", [key, count, value]);
  }

  /** Drops all but elements `start` to `stop`. */
  ltrim(key: Key, start: number, stop: number): "OK" {
    return this.run("ltrim", [key, start, stop]) as "OK";
  }

  /** Moves an element from an end of one list to an end of another, or of the same. It, or null. */
  lmove(source: Key, destination: Key, from: ListEnd, to: ListEnd): string | null {
    return this.run("lmove", [source, destination, from, to], 2) as string | null;
  }

  /** `lmove` from the right to the left, by its older name. */
  rpoplpush(source: Key, destination: Key): string | null {
    return this.run("rpoplpush", [source, destination], 2) as string | null;
  }
}
