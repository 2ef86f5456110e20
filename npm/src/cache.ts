// The cache as users see it: Redis's commands in lower case, synchronous.
// Invariant: after any exception that came through the engine, the instance is not used again.
// Not here: what a command does, which is the engine's; the commands that are no more than called
// by name (commands/); and how bytes cross (instance.ts).

import { isKey, readOptions, syntaxError } from "./commands/commands.js";
import { SetCommands } from "./commands/sets.js";
import { FerriteError } from "./error.js";
import {
  asCopy, asText, failed, Instance, missing, mode, type Decode, type Decoded,
} from "./instance.js";
import type {
  FerriteModule, FerriteStats, Key, MaybeKey, Reply, SetOptions, Value,
} from "./types.js";

/** What `initFerrite` has made of its options. */
export interface Configuration {
  module: FerriteModule;
  /** As it was given: the engine reads it. */
  maxMemory: string;
  evictionPolicy: string;
  compression: boolean;
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
export class FerriteCache extends SetCommands {
  private instance: Instance;
  private isOpen = false;
  private writes = 0;
  private resets = 0;

  /** @internal Users call `initFerrite`. */
  constructor(private readonly configuration: Configuration, instance: Instance) {
    super();
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

  /**
   * The value of a key, read as JSON, or null. That it is a `T` the caller knows: nothing is
   * checked, and nothing but this method ever takes a value for JSON.
   */
  getJson<T = unknown>(key: MaybeKey): T | null {
    const text = this.get(key);
    if (text === null) return null;
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw new FerriteError("ERR value is not JSON", { cause });
    }
  }

  /** Gives a key a value as its JSON: "OK", or null if the condition did not hold. */
  setJson<T>(key: Key, value: T, options?: SetOptions & { get?: false }): "OK" | null {
    if ((options as SetOptions | undefined)?.get) throw syntaxError();
    return this.set(key, jsonOf(value), options);
  }

  /** Any command by its name, with its arguments as Redis takes them. */
  call(name: string, ...values: Value[]): Reply {
    return this.run(name, values);
  }

  /** The same with strings as bytes; only short fixed texts such as OK are still text. */
  callBytes(name: string, ...values: Value[]): Reply<Uint8Array<ArrayBuffer> | string> {
    return this.decode(name, values, asCopy);
  }

  /** Looks for expired keys among the next `8 * buckets` or so. How many it dropped. */
  tick(buckets: number = bucketsByDefault): number {
    const now = this.begin(false);
    let dropped: number;
    try {
      dropped = this.instance.exports.tick(now, buckets);
    } catch (error) {
      throw this.lost(error);
    }
    this.instance.refresh();
    return dropped;
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

  /** @internal */
  protected run(name: string, values: readonly Value[]): Reply {
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
      this.instance.refresh();
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
    const { module, maxMemory, evictionPolicy, compression } = this.configuration;
    this.instance = new Instance(module);
    this.instance.configure(maxMemory, evictionPolicy, compression);
    this.isOpen = false;
    this.resets++;
    return new FerriteError("RESET the engine failed and was started anew: the cache is empty, "
      + "and this operation did not happen", { cause: error });
  }
}

function jsonOf(value: unknown): string {
  let text: string | undefined;
  let cause: unknown;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    cause = error;
  }
  if (text !== undefined) return text;
  throw new FerriteError(`ERR this ${typeof value} cannot be written as JSON`, { cause });
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
