// What the families of commands share: how one is run, and how arguments and replies are shaped.
// Invariant: what an argument or an option means is the engine's affair; here they become words.
// The families are classes that extend one another, since a class has one parent. Keys and strings
// stand below the cache itself (../lite-cache.ts), all others above it, so that a bundle of the
// lite entry has none of them; else the order means nothing, and none uses another's methods.
// Not here: the instance (../instance.ts), and any command.

import { FerriteError, isPlain, reading, wrongKind } from "../error.js";
import { passedKey } from "../instance.js";
import type { Key, MaybeKey, Reply, SetOptions, Value } from "../types.js";

export abstract class Commands {
  /**
   * @internal Runs a command, of whose arguments so many are keys, or every so-manieth of those.
   * Its reply, with text for strings.
   */
  protected abstract run(name: string, values: Value[], keys?: number, step?: number): Reply;

  /** @internal SET by any of its names. */
  protected abstract store(
    name: string, key: Key, value: Value, options?: SetOptions,
  ): string | null;

  /** @internal Runs a command that counts. */
  protected number(name: string, values: Value[], keys?: number, step?: number): number {
    return Number(this.run(name, values, keys, step));
  }

  /** @internal Runs a read. Of a key that is null its answer is the same as of one not there. */
  protected read<Answer>(
    name: string, key: MaybeKey, values: readonly Value[], ifMissing: Answer,
  ): Answer {
    return isKey(key) ? this.run(name, [key, ...values]) as Answer : ifMissing;
  }
}

/** All that a scan gives. It begins here and now: what is wrong is not told later. */
export function scanned<Item>(
  scan: (cursor: string) => [string, Item[]],
): Generator<Item, void, undefined> {
  return fromFirst(scan, scan("0"));
}

function* fromFirst<Item>(
  scan: (cursor: string) => [string, Item[]], [cursor, items]: [string, Item[]],
): Generator<Item, void, undefined> {
  yield* items;
  while (cursor !== "0") {
    [cursor, items] = scan(cursor);
    yield* items;
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
  // To flatten costs more than most commands.
  return reading(() => given.some(Array.isArray) ? given.flat() : given) as Item[];
}

/** Keys behind their number. */
export function counted(command: string, keys: Key | readonly Key[]): Value[] {
  const all = flat([keys]);
  return [all.length, ...all.map((key, at) => passedKey(key, command, at + 2))];
}

/** What need not be given, as arguments. */
export function ifGiven<Item>(item: Item | undefined): Item[] {
  return item === undefined ? [] : [item];
}

/** Names and values in turn. What is no pair is an error: a shorter one would shift all others. */
export function inTurn(pairs: Pairs): Value[] {
  return reading(() => {
    if (pairs === null || typeof pairs !== "object") throw notPairs();
    const entries = Symbol.iterator in pairs ? pairs : Object.entries(pairs);
    const values: Value[] = [];
    for (const pair of entries) {
      if (!Array.isArray(pair) || pair.length !== 2) throw notPairs();
      values.push(pair[0], pair[1]);
    }
    return values;
  });
}

function notPairs(): FerriteError {
  return new FerriteError("ERR names and values come as an object or as pairs of the two");
}

/** Two by two what Redis lists in turn. */
export function inPairs(items: readonly string[]): [string, string][] {
  return Array.from({ length: items.length / 2 }, (_, at) => [items[2 * at]!, items[2 * at + 1]!]);
}

/**
 * The options of a command as words: a name with its value, or, of what is true or false (`flag`),
 * a name or nothing. What is not known is an error.
 */
export function wordsOf(
  command: string, options: object, known: readonly string[], flag?: string,
): Value[] {
  return Object.entries(given(command, options)).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const isFlag = name === flag;
    if (isFlag !== (typeof value === "boolean") || !isFlag && !known.includes(name)) {
      throw refusedOption(command, name);
    }
    return isFlag ? value ? [name] : [] : [name, value];
  });
}

/** The options of a command as they are now. */
export function given<Options extends object>(command: string, options: Options): Options {
  return reading(() => {
    checkOptions(command, options);
    return { ...options };
  });
}

/** Throws unless these are options; anything, where they cannot be looked at. */
export function checkOptions(command: string, options: unknown): void {
  if (isPlain(options)) return;
  throw wrongKind(`the options of '${command}'`, "an object", options);
}

/** Redis's line about an option, and which it is. */
export function refusedOption(
  command: string, option: string, line = "ERR syntax error",
): FerriteError {
  return new FerriteError(`${line} in option "${option}" of '${command}'`);
}
