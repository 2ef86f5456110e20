// One WebAssembly instance: its memory, its scratch area, and the code of what passes through that.
// Invariant: nobody keeps a view of linear memory over a call, since memory that grows leaves old
// views without bytes; `refresh` comes after every call. Users never get one.
// Not here: what a command means (cache.ts), and what happens when an instance is lost.

import { FerriteError, reading, wrongKind } from "./error.js";
import { face, Families, Found, Mode, Result, Tag } from "./face.js";
import { Pool } from "./pool.js";
import { encodeText, readAscii, readText, wordAt, writeKey, writeText } from "./text.js";
import type { Bytes, FerriteModule, Key, Value } from "./types.js";

/** The functions of bindings-js. */
interface Exports {
  memory: WebAssembly.Memory;
  scratch_pointer(): number;
  configure(memoryLength: number, policyLength: number): number;
  /** Only the build for `@ferrite/edge/compressed` has it. */
  enable_compression?(): void;
  open(seedLow: number, seedHigh: number): number;
  get(now: number, isTimed: boolean, keyLength: number): number;
  set(now: number, keyLength: number, valueLength: number, mode: number,
    expiry: number): number;
  call(now: number, commands: number, count: number, length: number): number;
  tick(now: number, buckets: number): number;
  stats(): number;
}

/** The largest value that is put together in memory that stays. */
const roomBytesMax = 1 << 20;

/** Bytes of the header at the start of the scratch area. */
const headerBytes = 8;

/** A decoded reply: simple strings and errors are told apart from bulk strings. */
export type Decoded<Text> = Text | string | number | bigint | null | Decoded<Text>[];

/** No value that is delivered. */
const nothing: readonly Uint8Array[] = [];

export class Instance {
  readonly exports: Exports;
  /** All of its memory. */
  bytes!: Bytes;
  /** What stands behind that: to ask a view for its buffer is a call. */
  private buffer!: ArrayBuffer;
  /** The part of the scratch area that what is passed in may take. */
  private passed!: Bytes;
  /** Where what is passed in starts, and where it must end. */
  start = 0;
  private end = 0;
  /** Most arguments of one call, its name included. */
  private argumentsMax = 0;
  /** The scratch area as words, the first two of which are the header. */
  private words!: Uint32Array;
  /** A value that is delivered piece by piece. */
  private source: readonly Uint8Array[] = nothing;
  /** Which of its parts is next, and from where on. */
  private part = 0;
  private partAt = 0;
  /** Where values that are shown are copied to. */
  private readonly pool = new Pool();
  /** Where a large value is put together to be read at once. */
  private reused: Bytes = new Uint8Array(0);
  /** Parts of a reply that did not fit. */
  private parts: Uint8Array[] = [];

  constructor(module: FerriteModule, families: Families) {
    try {
      this.exports = instantiate(module, (name) => this.host(name));
      this.locate(families);
    } catch (cause) {
      if (cause instanceof FerriteError) throw cause;
      throw notThisBuild(cause);
    }
  }

  private host(name: string): ImportedFunction {
    if (name.includes("ferrite_fill")) return (pointer, length) => this.fill(pointer, length);
    if (name.includes("ferrite_flush")) return (pointer, length) => this.flush(pointer, length);
    // The table for JavaScript's objects, of which none ever cross.
    return () => {};
  }

  /** Sets budget, policy and compression; the complaint of the engine, which reads them. */
  configure(memory: string, policy: string, compression: boolean): string | undefined {
    if (compression) {
      const { exports } = this;
      if (!exports.enable_compression) return "ERR only @ferrite/edge/compressed has compression";
      exports.enable_compression();
    }
    const { bytes, start, end } = this;
    // What is too long to be written is no better than nothing: neither may be empty.
    const memoryLength = Math.max(writeText(bytes, memory, start, end), 0);
    const policyLength = Math.max(writeText(bytes, policy, start + memoryLength, end), 0);
    const result = this.exports.configure(memoryLength, policyLength);
    this.refresh();
    return result < 0 ? this.complaint() : undefined;
  }

  /** Makes the keyspace. */
  open([low, high]: Uint32Array): void {
    const result = this.exports.open(low!, high!);
    this.refresh();
    if (result < 0) throw new FerriteError(this.complaint());
  }

  /** Drops expired keys, and whatever else the engine does between operations: memory may grow. */
  tick(now: number, buckets: number): number {
    const dropped = this.exports.tick(now, buckets);
    this.refresh();
    return dropped;
  }

  /** Takes new views where memory has grown. */
  refresh(): void {
    if (this.bytes.length === 0) this.look();
  }

  private locate(wanted: Families): void {
    this.end = this.start = this.exports.scratch_pointer() + headerBytes;
    this.look();
    // The words say so only until the next call.
    if (this.words[2] !== face) throw notThisBuild();
    if (this.words[3] !== wanted) throw notThisEntry(wanted);
    this.end = this.start + this.words[0]!;
    this.argumentsMax = this.words[1]!;
    this.look();
  }

  private look(): void {
    this.buffer = this.exports.memory.buffer;
    this.bytes = new Uint8Array(this.buffer);
    this.passed = this.bytes.subarray(this.start, this.end);
    // This throws where the area does not stand on a word. Behind the header there may be a list,
    // which ends by itself.
    this.words = new Uint32Array(this.buffer, this.start - headerBytes);
  }

  /** Writes a key behind the header. Its length. */
  putKey(key: Key, command: string): number {
    const { passed } = this;
    if (typeof key === "string") {
      const length = writeKey(passed, key);
      return length < 0 ? this.putKey(longKey, command) : length;
    }
    const given = passedKey(key, command);
    if (typeof given === "string") return this.putKey(given, command);
    passed.set(given);
    return lengthOf(given);
  }

  /** Writes a value behind a key that `putKey` wrote, or leaves it to be delivered. Its length. */
  putValue(keyLength: number, value: Value, command: string): number {
    const at = this.start + keyLength;
    const length = this.write(value, at, command, 2);
    if (length < 0) {
      return this.putParts(keyLength, [reading(() => typeof value === "string"
        ? encodeText(value) : plainView(asBytes(value, command, 2)))]);
    }
    this.replyAt = at + length;
    return length;
  }

  /** Writes an argument to a place behind the header. Its length; -1 if there is no room. */
  private write(value: Value, at: number, command: string, nth: number): number {
    const { bytes, end } = this;
    if (typeof value === "string") return writeText(bytes, value, at, end);
    if (typeof value === "number" || typeof value === "bigint") {
      return writeText(bytes, String(value), at, end);
    }
    const given = asBytes(value, command, nth);
    const length = lengthOf(given);
    if (length > end - at) return -1;
    bytes.set(given, at);
    return length;
  }

  /** The same for a value in parts, each of which is copied once, to where it will stay. */
  putParts(keyLength: number, parts: readonly Uint8Array[]): number {
    this.source = parts;
    this.part = this.partAt = 0;
    this.replyAt = this.start + keyLength;
    return parts.reduce((sum, part) => sum + part.length, 0);
  }

  /** SET, with a key and a value that were put. */
  set(now: number, keyLength: number, length: number, bits: number, expiry: number): number {
    if (this.source === nothing) return this.exports.set(now, keyLength, length, bits, expiry);
    const result = this.exports.set(now, keyLength, length, bits | Mode.streamed, expiry);
    this.source = nothing;
    return result;
  }

  private replyAt = 0;
  /** How many arguments were put. */
  private count = 0;

  /** Writes a command behind the header. */
  putCall(name: string, values: readonly Value[]): void {
    this.replyAt = this.putCommand(name, values, this.start);
    this.count = values.length + 1;
  }

  /** The same for several. */
  putCommands(commands: readonly (readonly Value[])[]): void {
    let at = this.start;
    let count = 0;
    for (const [name, ...values] of commands) {
      count += values.length + 1;
      if (count > this.argumentsMax) this.refuseLength("multi");
      at = this.putCommand(name as string, values, at);
    }
    this.replyAt = at;
    this.count = count;
  }

  /** The figures of the cache. */
  stats(): number {
    this.replyAt = this.start;
    return this.exports.stats();
  }

  /** Runs the command that was put; or so many, of which either all are run or none. */
  call(now: number, commands: number): number {
    return this.exports.call(now, commands, this.count, this.replyAt - this.start);
  }

  private putCommand(name: string, values: readonly Value[], start: number): number {
    if (typeof name !== "string") throw wrongKind("the name of a command", "text", name);
    const count = values.length + 1;
    if (count > this.argumentsMax || start + 4 > this.end) this.refuseLength(name);
    this.putWord(count, start);
    let at = this.putArgument(name, start + 4, name, 0);
    for (let nth = 1; nth < count; nth++) at = this.putArgument(values[nth - 1]!, at, name, nth);
    return at;
  }

  private putArgument(value: Value, at: number, command: string, nth: number): number {
    const start = at + 4;
    const length = this.write(value, start, command, nth);
    if (length < 0) this.refuseLength(command);
    this.putWord(length, at);
    return start + length;
  }

  private putWord(word: number, at: number): void {
    const { bytes } = this;
    bytes[at] = word;
    bytes[at + 1] = word >> 8;
    bytes[at + 2] = word >> 16;
    bytes[at + 3] = word >> 24;
  }

  private refuseLength(command: string): never {
    throw new FerriteError(`ERR too much for one call of '${command}': with its name at most ${
      this.argumentsMax} arguments, of ${this.end - this.start - 4} bytes together (set and append `
      + "take a value of any size)");
  }

  /** The value that `get` found, as text. */
  text(length: number): string {
    const { bytes, words } = this;
    const first = words[0]!;
    const flags = words[1]!;
    if (flags === Found.ascii) return readAscii(bytes, first, first + length);
    if (!(flags & Found.runs)) return readText(bytes, first, first + length);
    const all = this.gather(length, first, this.room(length));
    return flags & Found.ascii ? readAscii(all, 0, length) : readText(all, 0, length);
  }

  /** The value that `get` found, as bytes of its own. */
  copy(length: number): Bytes {
    const first = this.words[0]!;
    if (this.words[1]! & Found.runs) return this.gather(length, first);
    return asCopy(this.bytes, first, first + length);
  }

  /**
   * The value that `get` found, as a copy in memory that others share. To show linear memory
   * itself, and to take it back, costs milliseconds where it is large: the collector counts all of
   * it anew.
   */
  shown(length: number): Bytes {
    const first = this.words[0]!;
    const copy = this.pool.take(length);
    if (this.words[1]! & Found.runs) return this.gather(length, first, copy);
    copy.set(new Uint8Array(this.buffer, first, length));
    return copy;
  }

  /** Says that the runtime itself may still read what was shown last. */
  leave(): void {
    this.pool.leave();
  }

  /** The same for a reader that is done with it before the next operation. */
  glance(length: number): Bytes {
    const first = this.words[0]!;
    if (this.words[1]! & Found.runs) return this.gather(length, first, this.room(length));
    return new Uint8Array(this.buffer, first, length);
  }

  /** Bytes that are used again: a new array for each large response is half of what it costs. */
  private room(length: number): Bytes {
    if (length > roomBytesMax) return new Uint8Array(length);
    if (length > this.reused.length) {
      this.reused = new Uint8Array(Math.min(2 * length, roomBytesMax));
    }
    return this.reused.subarray(0, length);
  }

  private gather(length: number, runs: number, all: Bytes = new Uint8Array(length)): Bytes {
    let at = 0;
    for (let run = 1; run <= runs; run++) {
      const [pointer, bytes] = [this.words[2 * run]!, this.words[2 * run + 1]!];
      all.set(this.bytes.subarray(pointer, pointer + bytes), at);
      at += bytes;
    }
    return all;
  }

  private fill(pointer: number, length: number): void {
    this.refresh();
    const end = pointer + length;
    for (let at = pointer; at < end;) {
      const part = this.source[this.part]!;
      const run = part.subarray(this.partAt, this.partAt + end - at);
      this.bytes.set(run, at);
      at += run.length;
      this.partAt += run.length;
      if (this.partAt < part.length) continue;
      this.part++;
      this.partAt = 0;
    }
  }

  private flush(pointer: number, length: number): void {
    this.refresh();
    this.parts.push(asCopy(this.bytes, pointer, pointer + length));
  }

  /** Decodes the reply. An error is thrown, but for those of several commands. */
  reply<Text>(length: number, decode: Decode<Text>): Decoded<Text> {
    if (length === Result.failed) throw new FerriteError(this.complaint());
    let { bytes, replyAt } = this;
    if (this.parts.length > 0) {
      bytes = joined([...this.parts, bytes.subarray(replyAt, replyAt + length)]);
      replyAt = 0;
      this.parts = [];
    }
    const reply = new Reader(bytes, replyAt, decode).next();
    if (reply instanceof FerriteError) throw reply;
    return reply;
  }

  /** The error that stands behind the header. */
  complaint(): string {
    const { bytes, start } = this;
    return readText(bytes, start + 5, start + 5 + wordAt(bytes, start + 1));
  }
}

/** Makes of a bulk string what the caller wants. */
export type Decode<Text> = (bytes: Bytes, start: number, end: number, isAscii: boolean) => Text;

export const asText: Decode<string> = (bytes, start, end, isAscii) =>
  isAscii ? readAscii(bytes, start, end) : readText(bytes, start, end);

export const asCopy = (bytes: Bytes, start: number, end: number): Bytes => {
  const copy = new Uint8Array(end - start);
  copy.set(bytes.subarray(start, end));
  return copy;
};

class Reader<Text> {
  constructor(
    private readonly bytes: Bytes,
    private at: number,
    private readonly decode: Decode<Text>,
  ) {}

  next(): Decoded<Text> | FerriteError {
    const tag = this.bytes[this.at++];
    if (tag === Tag.null) return null;
    if (tag === Tag.integer) return this.integer();
    const length = this.word();
    if (tag === Tag.array) {
      const items = new Array<Decoded<Text>>(length);
      for (let item = 0; item < length; item++) items[item] = this.next() as Decoded<Text>;
      return items;
    }
    const start = this.at;
    const end = this.at += length;
    if (tag === Tag.simple) return readAscii(this.bytes, start, end);
    if (tag === Tag.error) return new FerriteError(readText(this.bytes, start, end));
    return this.decode(this.bytes, start, end, tag === Tag.ascii);
  }

  /** A bigint only where a number would not be exact. */
  private integer(): number | bigint {
    const low = this.word();
    const high = this.word() | 0;
    const number = high * 2 ** 32 + low;
    return Number.isSafeInteger(number) ? number : BigInt(high) << 32n | BigInt(low);
  }

  private word(): number {
    return wordAt(this.bytes, (this.at += 4) - 4);
  }
}

/** An instance of a module, whose imports `host` gives by name: if it is a module of this build. */
function instantiate(module: FerriteModule, host: (name: string) => ImportedFunction): Exports {
  const real = module as WebAssembly.Module;
  const imports: Record<string, Record<string, ImportedFunction>> = {};
  // wasm-bindgen adds a hash to the names.
  for (const { module: from, name } of WebAssembly.Module.imports(real)) {
    (imports[from] ??= {})[name] = host(name);
  }
  return new WebAssembly.Instance(real, imports).exports as unknown as Exports;
}

type ImportedFunction = (pointer: number, length: number) => void;

function notThisBuild(cause?: unknown): FerriteError {
  return new FerriteError("ERR this WebAssembly module is not that of this version of "
    + "@ferrite/edge", { cause });
}

function notThisEntry(wanted: Families): FerriteError {
  const [of, other] = wanted === Families.all ? ["/lite", ""] : ["", "/lite"];
  return new FerriteError(
    `ERR this WebAssembly module is that of @ferrite/edge${of}, and this is @ferrite/edge${other}`);
}

/** Several runs of bytes as one. */
export function joined(parts: readonly Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  return all;
}

/** Longer than any key: of whatever else is, the engine says the same. */
const longKey = /* @__PURE__ */ "-".repeat(8001);

/** A key as it is passed, if this may be one. */
export function passedKey(key: unknown, command: string, nth = 1): string | Uint8Array {
  if (typeof key === "string") return key.length > longKey.length ? longKey : key;
  if (!ArrayBuffer.isView(key)) {
    throw wrongKind(`argument ${nth} of '${command}', a key,`, "text or bytes", key);
  }
  const bytes = asBytes(key, command, nth);
  return lengthOf(bytes) > longKey.length ? longKey : bytes;
}

// What subclasses may have in another way, as the language has it: a length that is not true would
// let bytes be written over the engine's memory. (Where a view begins they may say as they like: a
// new one is checked.)
const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;
const getter = /* @__NO_SIDE_EFFECTS__ */ <Result>(of: object, name: string | symbol) => (
  Object.getOwnPropertyDescriptor(of, name)!.get as (this: unknown) => Result);
const byteLength = getter<number>(typedArray, "byteLength");
const kindOf = getter<string | undefined>(typedArray, Symbol.toStringTag);
const bufferLength = getter<number>(ArrayBuffer.prototype, "byteLength");
const { keys } = typedArray as { keys(this: unknown): unknown };

/** How many bytes those are that `asBytes` gave. */
export function lengthOf(bytes: Uint8Array): number {
  return byteLength.call(bytes);
}

function plainView(view: ArrayBufferView, length = byteLength.call(view)): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, length);
}

/** The bytes of an argument, which may be of a subclass: only `lengthOf` tells how many. */
export function asBytes(value: unknown, command: string, nth: number): Uint8Array {
  try {
    if (ArrayBuffer.isView(value)) {
      const kind = kindOf.call(value);
      if (kind === undefined) return plainView(value, value.byteLength);
      // It refuses a view whose memory is gone, or has become too short for it.
      if (byteLength.call(value) === 0) keys.call(value);
      return kind === "Uint8Array" ? value as Uint8Array : plainView(value);
    }
    if (isBuffer(value)) return new Uint8Array(value);
  } catch (cause) {
    throw new FerriteError("ERR these bytes are no longer there", { cause });
  }
  throw wrongKind(`argument ${nth} of '${command}'`, "text, bytes or a number", value);
}

/** Not instanceof: in some sandboxes what a fetch returns is of another realm. */
function isBuffer(value: unknown): value is ArrayBuffer {
  try {
    return bufferLength.call(value) >= 0;
  } catch {
    return false;
  }
}
