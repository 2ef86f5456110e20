// What every cache has: values and keys, Redis's commands in lower case, synchronous. It is all
// that @ferrite/edge/lite has; other types come with the classes that extend it (cache.ts).
// Invariant: after any exception that came through the engine, the instance is not used again; and
// nothing that may change memory runs while a user reads it, or leaves a view of it behind.
// Not here: what a command does, which is the engine's; the commands that are no more than called
// by name (commands/); and how bytes cross (instance.ts).

import { given, refusedOption } from "./commands/commands.js";
import { StringCommands } from "./commands/strings.js";
import { FerriteError, reading, wrongKind } from "./error.js";
import { Families, Mode, Result } from "./face.js";
import {
  asCopy, asText, Instance, passedKey, type Decode, type Decoded,
} from "./instance.js";
import { checkedCommands, inNumbers, type Command, type Replies } from "./multi.js";
import {
  askForCopies, bodyBytesMaxByDefault, readBody, Responses,
} from "./response.js";
import { readSetOptions } from "./set-options.js";
import type {
  Bytes, FerriteModule, FerriteStats, Key, MaybeKey, Reply, ResponseOptions, RuntimeResponse,
  SetOptions, Value,
} from "./types.js";

/** @internal What `initFerrite` has made of its options. */
export interface Configuration {
  module: FerriteModule;
  /** Which of the engines that is. */
  families: Families;
  /** As it was given: the engine reads it. */
  maxMemory: string;
  evictionPolicy: string;
  compression: boolean;
  clock: { now(): number };
  /** Draws the seed of the hash, at the first operation: at global scope nothing is random. */
  seed(): Uint32Array;
}

// Expired keys leave when somebody asks for them, and a few with each write: every 64th operation
// that may write looks at 16 buckets of about 8 keys. At that pace the whole cache is looked
// through before it could double, and no operation takes noticeably longer.
const writesPerTick = 64;
const bucketsPerTick = 16;

/** Buckets that `tick` looks at unless told. */
const bucketsByDefault = 1024;

/** What stands in the way of an operation: it was never used; a user is shown a value; nothing. */
const enum State { closed, reading, ready }

/** A cache of strings in the memory of this isolate or process. */
export class LiteCache extends StringCommands {
  /** @internal What the engine of such a cache has. */
  static readonly families: Families = Families.strings;

  private instance: Instance;
  private readonly clock: { now(): number };
  private state = State.closed;
  /** Whether reads have to know the time: from the first of them that meets a key that expires. */
  private isTimed = false;
  private writes = 0;
  private resets = 0;
  private readonly responses = new Responses();

  /** @internal Users call `initFerrite`. */
  constructor(private readonly configuration: Configuration, instance: Instance) {
    super();
    this.instance = instance;
    this.clock = configuration.clock;
  }

  /** The value of a key as text, or null. What is not UTF-8 is better read with `getBytes`. */
  get(key: MaybeKey): string | null {
    const length = this.find(key, "get");
    return length < 0 ? null : this.instance.text(length);
  }

  /** The value of a key as bytes, or null. The bytes are the caller's own. */
  getBytes(key: MaybeKey): Bytes | null {
    const length = this.find(key, "getBytes");
    return length < 0 ? null : this.instance.copy(length);
  }

  /**
   * Shows the value of a key to a function, and returns what that returns; null if there is no such
   * key. The bytes share their buffer with others, so they must not be written, and are meant to be
   * read until the function returns: it must not be async, nor return them, and cannot use the
   * cache. What is kept all the same stays what it was, or has no bytes later.
   */
  withBytes<Result>(
    key: MaybeKey, read: ((bytes: Bytes) => Result) & NotAsync<Result>,
  ): Result | null {
    if (typeof read !== "function") {
      throw wrongKind("argument 2 of 'withBytes'", "a function", read);
    }
    const length = this.find(key, "withBytes");
    if (length < 0) return null;
    const view = this.instance.shown(length);
    this.state = State.reading;
    let result: Result | undefined;
    try {
      result = read(view);
    } finally {
      this.state = State.ready;
      // Who returns a number or a text has read. Else somebody may still do so, a stream perhaps.
      if (typeof result !== "number" && typeof result !== "string") this.instance.leave();
    }
    if (typeof result === "object" && result !== null) this.refuseToLend(result, view);
    return result;
  }

  /** Gives a key a value: "OK", or null if the condition did not hold. */
  set(key: Key, value: Value, options?: SetOptions & { get?: false }): "OK" | null;
  /** With `get`: the value that was there before, or null. */
  set(key: Key, value: Value, options: SetOptions & { get: true }): string | null;
  set(key: Key, value: Value, options?: SetOptions): string | null;
  set(key: Key, value: Value, options?: SetOptions): string | null {
    return this.store("set", key, value, options);
  }

  /** @internal */
  protected store(name: string, key: Key, value: Value, options?: SetOptions): string | null {
    const { bits, expiry } = readSetOptions(name, options);
    const result = this.put(name, key, value, bits, expiry);
    if (!(bits & Mode.withOld)) return result === 1 ? "OK" : null;
    return this.instance.reply(result, asText) as string | null;
  }

  /** @internal Writes a string of any size: a value, or, if the mode says so, one in parts. */
  protected put(
    name: string, key: Key, value: Value | readonly Uint8Array[], bits: number, expiry: number,
  ): number {
    const now = this.begin();
    const { instance } = this;
    const keyLength = instance.putKey(key, name);
    const valueLength = bits & Mode.streamed
      ? instance.putParts(keyLength, value as readonly Uint8Array[])
      : instance.putValue(keyLength, value as Value, name);
    let result: number;
    try {
      result = instance.set(now, keyLength, valueLength, bits, expiry);
    } catch (error) {
      throw this.lost(error);
    }
    instance.refresh();
    if (result !== Result.failed) return result;
    // The engine knows no other name for this.
    throw new FerriteError(instance.complaint().replace("'set'", `'${name}'`));
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
    if ((options as SetOptions | undefined)?.get) throw refusedOption("setJson", "get");
    return this.store("setJson", key, jsonOf(value), options) as "OK" | null;
  }

  /**
   * Keeps a response under a key, once its body was read to its end: "OK", or null if the condition
   * did not hold. To send the same response meanwhile, put its `clone()`. Status and headers are
   * what they are at this moment. Whether it may be kept at all is for the caller to know.
   */
  async putResponse(
    key: Key, response: RuntimeResponse, options: ResponseOptions = {},
  ): Promise<"OK" | null> {
    const name = "putResponse";
    passedKey(key, name);
    const { maxBodyBytes = bodyBytesMaxByDefault, encodeBody = "automatic", ...rest } =
      given(name, options);
    if (typeof maxBodyBytes !== "number" || !(maxBodyBytes >= 0)) {
      throw refusedOption(name, "maxBodyBytes");
    }
    if (!["automatic", "manual"].includes(encodeBody)) throw refusedOption(name, "encodeBody");
    const { bits, expiry } = readSetOptions(name, rest);
    if (bits & Mode.withOld) throw refusedOption(name, "get");
    const headOf = reading(() => this.responses.pack(response, encodeBody));
    const body = await readBody(response, maxBodyBytes);
    await askForCopies();
    const result = this.put(name, key, [headOf(body), ...body], bits | Mode.streamed, expiry);
    return result === 1 ? "OK" : null;
  }

  /** The response that `putResponse` kept, as often as it is wanted; or null. */
  getResponse(key: MaybeKey): RuntimeResponse | null {
    const length = this.find(key, "getResponse");
    return length < 0 ? null : this.responses.unpack(this.instance.glance(length));
  }

  /**
   * Several commands, one after the other with nothing in between: the reply of each, or its error,
   * in its place. If one does not exist or has not enough arguments, none is run.
   */
  multi<const Commands extends readonly Command[]>(commands: Commands): Replies<Commands> {
    const all = checkedCommands(commands);
    const now = this.begin();
    const { instance } = this;
    if (all.length === 0) return [] as unknown as Replies<Commands>;
    instance.putCommands(all);
    const length = this.cross(now, all.length);
    try {
      const replies = instance.reply(length, asText) as (Reply | FerriteError)[];
      return replies.map(inNumbers) as Replies<Commands>;
    } catch (cause) {
      throw new FerriteError("EXECABORT Transaction discarded because of previous errors.",
        { cause });
    }
  }

  /** Any command by its name, with its arguments as Redis takes them. */
  call(name: string, ...values: Value[]): Reply {
    return this.decode(name, values, asText);
  }

  /** The same with strings as bytes; only short fixed texts such as OK are still text. */
  callBytes(name: string, ...values: Value[]): Reply<Bytes | string> {
    return this.decode(name, values, asCopy);
  }

  /** Looks for expired keys among the next `8 * buckets` or so. How many it dropped. */
  tick(buckets: number = bucketsByDefault): number {
    if (!Number.isSafeInteger(buckets) || buckets < 0) {
      throw new FerriteError("ERR tick takes a number of buckets");
    }
    return this.sweep(this.begin(), buckets);
  }

  private sweep(now: number, buckets: number): number {
    try {
      return this.instance.tick(now, buckets);
    } catch (error) {
      throw this.lost(error);
    }
  }

  /** What the cache tells about itself. */
  stats(): FerriteStats {
    if (this.state !== State.ready) this.prepare();
    const { instance } = this;
    let length: number;
    try {
      length = instance.stats();
    } catch (error) {
      throw this.lost(error);
    }
    const pairs = instance.reply(length, asText) as Decoded<string>[];
    const stats: Record<string, number> = {};
    for (let at = 0; at < pairs.length; at += 2) {
      stats[pairs[at] as string] = Number(pairs[at + 1]);
    }
    stats.linear_memory = instance.exports.memory.buffer.byteLength;
    stats.instance_resets = this.resets;
    return stats as unknown as FerriteStats;
  }

  /** What JSON shows of it: its figures. */
  toJSON(): FerriteStats {
    return this.stats();
  }

  /** @internal What consoles show of it, which is not all of its memory. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `[Ferrite cache of ${this.configuration.maxMemory}]`;
  }

  /** Looks a string up: its length, and the instance knows where it stands. */
  private find(key: MaybeKey, name: string): number {
    if (key === null || key === undefined) return Result.missing;
    // Where no key expires the time does not matter, and to ask for it takes as long as to read.
    const { isTimed } = this;
    const now = isTimed ? this.now() : 0;
    if (this.state !== State.ready) this.prepare();
    const { instance } = this;
    const keyLength = instance.putKey(key, name);
    let length: number;
    try {
      length = instance.exports.get(now, isTimed, keyLength);
    } catch (error) {
      throw this.lost(error);
    }
    instance.refresh();
    return length < 0 ? this.notFound(length, key, name) : length;
  }

  /** A read that found nothing, or was refused, or has to know the time. */
  private notFound(length: number, key: MaybeKey, name: string): number {
    if (length === Result.failed) throw new FerriteError(this.instance.complaint());
    if (length !== Result.untimed) return length;
    this.isTimed = true;
    return this.find(key, name);
  }

  /** @internal */
  protected run(name: string, values: Value[], keys = 1, step = 1): Reply {
    for (let at = 0; at < keys && at < values.length; at += step) {
      values[at] = passedKey(values[at], name, at + 1);
    }
    return this.decode(name, values, asText);
  }

  private decode<Text>(
    name: string, values: readonly Value[], decode: Decode<Text>,
  ): Decoded<Text> {
    const now = this.begin();
    const { instance } = this;
    instance.putCall(name, values);
    return instance.reply(this.cross(now, 0), decode);
  }

  /** Runs what was put: one command, or so many of which all are run or none. */
  private cross(now: number, commands: number): number {
    let length: number;
    try {
      length = this.instance.call(now, commands);
    } catch (error) {
      throw this.lost(error);
    }
    this.instance.refresh();
    return length;
  }

  /** What comes before an operation that is no plain read. The time. */
  private begin(): number {
    // Nobody may ask for the time in the middle of an operation.
    const now = this.now();
    if (this.state !== State.ready) this.prepare();
    if (++this.writes % writesPerTick === 0) this.sweep(now, bucketsPerTick);
    return now;
  }

  private now(): number {
    const now = this.clock.now();
    if (Number.isFinite(now)) return now;
    throw new FerriteError("ERR clock: now() must return a number of milliseconds");
  }

  /** Makes an operation possible, or says why it is not. */
  private prepare(): void {
    if (this.state === State.reading) {
      throw new FerriteError("ERR the function that withBytes calls cannot use the cache");
    }
    let seed: Uint32Array;
    try {
      seed = this.configuration.seed();
    } catch (cause) {
      throw new FerriteError("ERR no random numbers: a Worker's first use of a cache must be in a "
        + "request, not at global scope", { cause });
    }
    this.instance.open(seed);
    this.state = State.ready;
  }

  /** Refuses what cannot be right to return from a function that was shown bytes. */
  private refuseToLend(result: object, view: Bytes): void {
    const memory = ArrayBuffer.isView(result) ? result.buffer : result;
    if (memory !== view.buffer) {
      if (typeof (result as PromiseLike<unknown>).then !== "function") return;
      // What becomes of it nobody will hear.
      Promise.resolve(result).catch(() => {});
    }
    throw new FerriteError("ERR the function that withBytes calls must not be async, or return the "
      + "bytes (slice() copies them)");
  }

  /**
   * Replaces the instance, whatever an export threw: a stack that ended inside the engine leaves
   * it in the middle of its work as a trap does. Arguments are written before, where errors do no
   * harm.
   */
  private lost(error: unknown): FerriteError {
    const { module, families, maxMemory, evictionPolicy, compression } = this.configuration;
    this.instance = new Instance(module, families);
    this.instance.configure(maxMemory, evictionPolicy, compression);
    this.state = State.closed;
    this.resets++;
    return new FerriteError("RESET the engine failed and was started anew: the cache is empty, "
      + "and this operation did not happen", { cause: error });
  }
}

/** No function is right whose result may be a promise. (`any` is not held to that.) */
type NotAsync<Result> =
  0 extends 1 & Result ? unknown
  : [Extract<Result, PromiseLike<unknown>>] extends [never] ? unknown : never;

function jsonOf(value: unknown): string {
  let cause: unknown;
  try {
    const text: string | undefined = JSON.stringify(value);
    if (text !== undefined) return text;
  } catch (error) {
    cause = error;
  }
  throw new FerriteError(`ERR this ${typeof value} cannot be written as JSON`, { cause });
}
