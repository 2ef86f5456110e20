// What the families of commands share: how one is run, and how arguments and replies are shaped.
// Invariant: what an argument or an option means is the engine's affair; here they become words.
// The families are classes that extend one another, since a class has one parent. Keys and strings
// stand below the cache itself (../lite-cache.ts), all others above it, so that a bundle of the
// lite entry has none of them; else the order means nothing, and none uses another's methods.
// Not here: the instance (../instance.ts), and any command.

import { FerriteError } from "../error.js";
import type { Key, MaybeKey, Reply, Value } from "../types.js";

export abstract class Commands {
  /** @internal Runs a command. Its reply, with text for strings. */
  protected abstract run(name: string, values: readonly Value[]): Reply;

  /** @internal Runs a command that counts. */
  protected number(name: string, values: readonly Value[]): number {
    return Number(this.run(name, values));
  }

  /** @internal Runs a read. Of a key that is null its answer is the same as of one not there. */
  protected read<Answer>(
    name: string, key: MaybeKey, values: readonly Value[], ifMissing: Answer,
  ): Answer {
    return isKey(key) ? this.run(name, [key, ...values]) as Answer : ifMissing;
  }

  /** @internal All that a scan gives, from its first cursor to its last. */
  protected *scanned<Item>(
    scan: (cursor: string) => [string, Item[]],
  ): Generator<Item, void, undefined> {
    let cursor = "0";
    do {
      const [next, items] = scan(cursor);
      yield* items;
      cursor = next;
    } while (cursor !== "0");
  }
}

/** Several of a kind: one after the other, or as one array. */
export type Several<Item> = Item[] | [readonly Item[]];

/** A name and its value. */
export type Pair = readonly [Key, Value];

/**
 * Names with their values: an object, a Map, or any other iterable of pairs. (Methods that take
 * them have an overload for iterables alone: only there the compiler sees pairs in array literals.)
 */
export type Pairs = Readonly<Record<string, Value>> | Iterable<Pair>;

/** Exactly one of these properties. */
export type OneOf<Choices> = {
  [Name in keyof Choices]:
    Pick<Choices, Name> & { [Other in Exclude<keyof Choices, Name>]?: never };
}[keyof Choices];

/** None of these properties. */
export type NoneOf<Choices> = { [Name in keyof Choices]?: never };

export function isKey(key: unknown): key is Key {
  return key !== null && key !== undefined;
}

export function flat<Item>(given: readonly (Item | readonly Item[])[]): Item[] {
  return given.flat() as Item[];
}

/** What need not be given, as arguments. */
export function ifGiven<Item>(item: Item | undefined): Item[] {
  return item === undefined ? [] : [item];
}

/** Names and values in turn. What is no pair is an error: a shorter one would shift all others. */
export function inTurn(pairs: Pairs): Value[] {
  if (pairs === null || typeof pairs !== "object") throw notPairs();
  const entries = Symbol.iterator in pairs ? pairs : Object.entries(pairs);
  const values: Value[] = [];
  for (const pair of entries) {
    if (!Array.isArray(pair) || pair.length !== 2) throw notPairs();
    values.push(pair[0], pair[1]);
  }
  return values;
}

function notPairs(): FerriteError {
  return new FerriteError("ERR names and values come as an object or as pairs of the two");
}

/** Two by two what Redis lists in turn. */
export function inPairs(items: readonly string[]): [string, string][] {
  return Array.from({ length: items.length / 2 }, (_, at) => [items[2 * at]!, items[2 * at + 1]!]);
}

/** The options that are there, with their values. What is not known is an error. */
export function readOptions<Name extends string>(
  options: object, known: readonly Name[],
): [Name, Value][] {
  if (options === null || typeof options !== "object") throw syntaxError();
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  if (given.some(([name]) => !known.includes(name as Name))) throw syntaxError();
  return given as [Name, Value][];
}

/** The options as words: a name alone where the value is true, nothing where it is false. */
export function wordsOf(options: object, known: readonly string[]): Value[] {
  return readOptions(options, known).flatMap(([name, value]: [string, unknown]) =>
    typeof value === "boolean" ? value ? [name] : [] : [name, value as Value]);
}

export function syntaxError(): FerriteError {
  return new FerriteError("ERR syntax error");
}
