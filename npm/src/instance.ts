// One WebAssembly instance: its memory, its scratch area, and the code of what passes through that.
// Invariant: nobody keeps a view of linear memory over a call, since memory that grows leaves old
// views without bytes; `refresh` comes after every call. Users never get one.
// Not here: what a command means (cache.ts), and what happens when an instance is lost.

import { FerriteError } from "./error.js";
import { Pool } from "./pool.js";
import { encodeText, readAscii, readText, writeKey, writeText, type Bytes } from "./text.js";
import type { FerriteModule, Key, Value } from "./types.js";

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

const exported = [
  "scratch_pointer", "configure", "open", "get", "set", "call", "tick", "stats",
] as const satisfies (keyof Exports)[];

/** The face of the wasm that this package knows: bindings-js has the same number. */
const face = 0x4652_0004;

/** What an engine has beside that, as bindings-js says it. */
export const families = { strings: 0, all: 1 } as const;
export type Families = typeof families[keyof typeof families];

/** What `get` and `set` return instead of a length. */
export const missing = -1;
export const failed = -2;
export const untimed = -3;

/** Flags of what `get` found. */
const isAscii = 1;
const isRuns = 2;

/** The largest value that is put together in memory that stays. */
const roomBytesMax = 1 << 20;

/** Bytes of the header at the start of the scratch area. */
const headerBytes = 8;

/** Bits of the mode of `set`. */
export const mode = {
  ifAbsent: 1, ifPresent: 2, keep: 1 << 2, in: 2 << 2, at: 3 << 2, withOld: 1 << 4,
} as const;
const streamed = 1 << 5;

const tags = {
  simple: 43, error: 45, bulk: 36, ascii: 97, integer: 58, array: 42, null: 95,
} as const;

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
    this.exports = instantiate(module, (name) => this.host(name));
    this.locate(families);
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
    this.start = this.exports.scratch_pointer() + headerBytes;
    if (this.start % 4 !== 0 || this.start > this.exports.memory.buffer.byteLength) {
      throw notThisBuild();
    }
    this.end = this.start;
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
  putKey(key: Key): number {
    const { passed } = this;
    if (typeof key === "string") {
      const length = writeKey(passed, key);
      if (length < 0) this.refuseLength();
      return length;
    }
    checkKey(key);
    const given = asBytes(key);
    const length = lengthOf(given);
    if (length > passed.length) this.refuseLength();
    passed.set(given);
    return length;
  }

  /** Writes a value behind a key that `putKey` wrote, or leaves it to be delivered. Its length. */
  putValue(keyLength: number, value: Value): number {
    const { bytes, end } = this;
    const at = this.start + keyLength;
    let given = value;
    let length = -1;
    if (typeof given === "number" || typeof given === "bigint") given = String(given);
    if (typeof given === "string") {
      length = writeText(bytes, given, at, end);
      if (length < 0) given = encodeText(given);
    } else {
      given = asBytes(given);
      const givenLength = lengthOf(given);
      if (givenLength <= end - at) {
        bytes.set(given, at);
        length = givenLength;
      }
    }
    if (length < 0) return this.putParts(keyLength, [plainView(given as Uint8Array)]);
    this.replyAt = at + length;
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
    const result = this.exports.set(now, keyLength, length, bits | streamed, expiry);
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
      if (count > this.argumentsMax) this.refuseLength();
      at = this.putCommand(name as string, values, at);
    }
    this.replyAt = at;
    this.count = count;
  }

  /** Runs the command that was put; or so many, of which either all are run or none. */
  call(now: number, commands: number): number {
    return this.exports.call(now, commands, this.count, this.replyAt - this.start);
  }

  private putCommand(name: string, values: readonly Value[], start: number): number {
    const count = values.length + 1;
    if (count > this.argumentsMax || start + 4 > this.end) this.refuseLength();
    this.putWord(count, start);
    let at = this.putArgument(name, start + 4);
    for (const value of values) at = this.putArgument(value, at);
    return at;
  }

  private putArgument(value: Value, at: number): number {
    const { bytes, end } = this;
    const start = at + 4;
    let length = -1;
    if (typeof value === "string") {
      if (start <= end) length = writeText(bytes, value, start, end);
    } else if (typeof value === "number" || typeof value === "bigint") {
      return this.putArgument(String(value), at);
    } else {
      const given = asBytes(value);
      const givenLength = lengthOf(given);
      if (givenLength <= end - start) {
        bytes.set(given, start);
        length = givenLength;
      }
    }
    if (length < 0) this.refuseLength();
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

  private refuseLength(): never {
    throw new FerriteError(`ERR too much for one call: with its name it may have ${
      this.argumentsMax} arguments, of ${this.end - this.start - 4} bytes together (set() takes a `
      + "value of any size the engine stores)");
  }

  /** The value that `get` found, as text. */
  text(length: number): string {
    const { bytes, words } = this;
    const first = words[0]!;
    const flags = words[1]!;
    if (flags === isAscii) return readAscii(bytes, first, first + length);
    if (!(flags & isRuns)) return readText(bytes, first, first + length);
    const all = this.gather(length, first, this.room(length));
    return flags & isAscii ? readAscii(all, 0, length) : readText(all, 0, length);
  }

  /** The value that `get` found, as bytes of its own. */
  copy(length: number): Bytes {
    const first = this.words[0]!;
    if (this.words[1]! & isRuns) return this.gather(length, first);
    const copy = new Uint8Array(length);
    copy.set(this.bytes.subarray(first, first + length));
    return copy;
  }

  /**
   * The value that `get` found, as a copy in memory that others share. To show linear memory
   * itself, and to take it back, costs milliseconds where it is large: the collector counts all of
   * it anew.
   */
  shown(length: number): Bytes {
    const first = this.words[0]!;
    const copy = this.pool.take(length);
    if (this.words[1]! & isRuns) return this.gather(length, first, copy);
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
    if (this.words[1]! & isRuns) return this.gather(length, first, this.room(length));
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
    const part = new Uint8Array(length);
    part.set(this.bytes.subarray(pointer, pointer + length));
    this.parts.push(part);
  }

  /** Decodes the reply of a call that passed something in; an error is thrown. */
  reply<Text>(length: number, decode: Decode<Text>): Decoded<Text> {
    return this.reader(length, this.replyAt, decode).next();
  }

  /** Decodes the reply of a call that passed nothing in. */
  ownReply<Text>(length: number, decode: Decode<Text>): Decoded<Text> {
    return this.reader(length, this.start, decode).next();
  }

  /** Decodes the replies of several commands, errors among them. */
  replies(length: number): Answer[] {
    return this.reader(length, this.replyAt, asText).answers();
  }

  private reader<Text>(length: number, at: number, decode: Decode<Text>): Reader<Text> {
    if (length === failed) throw new FerriteError(this.complaint());
    if (this.parts.length === 0) return new Reader(this.bytes, at, decode);
    const parts = [...this.parts, this.bytes.subarray(at, at + length)];
    this.parts = [];
    return new Reader(joined(parts), 0, decode);
  }

  /** The error that stands behind the header. */
  complaint(): string {
    const { bytes, start } = this;
    const length = bytes[start + 1]! | bytes[start + 2]! << 8;
    return readText(bytes, start + 5, start + 5 + length);
  }
}

/** What a command among several answers. */
export type Answer = Decoded<string> | FerriteError;

/** Makes of a bulk string what the caller wants. */
export type Decode<Text> = (bytes: Bytes, start: number, end: number, isAscii: boolean) => Text;

export const asText: Decode<string> = (bytes, start, end, isAscii) =>
  isAscii ? readAscii(bytes, start, end) : readText(bytes, start, end);

export const asCopy: Decode<Uint8Array<ArrayBuffer>> = (bytes, start, end) => {
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

  next(): Decoded<Text> {
    const tag = this.bytes[this.at++];
    if (tag === tags.null) return null;
    if (tag === tags.integer) return this.integer();
    const length = this.word();
    if (tag === tags.array) {
      const items: Decoded<Text>[] = [];
      for (let item = 0; item < length; item++) items.push(this.next());
      return items;
    }
    const start = this.at;
    const end = this.at += length;
    if (tag === tags.simple) return readAscii(this.bytes, start, end);
    if (tag === tags.error) throw new FerriteError(readText(this.bytes, start, end));
    return this.decode(this.bytes, start, end, tag === tags.ascii);
  }

  /** The items of an array, an error being one as well. */
  answers(): (Decoded<Text> | FerriteError)[] {
    if (this.bytes[this.at] !== tags.array) return [this.next()];
    this.at++;
    return Array.from({ length: this.word() }, () => {
      try {
        return this.next();
      } catch (error) {
        if (error instanceof FerriteError) return error;
        throw error;
      }
    });
  }

  /** A bigint only where a number would not be exact. */
  private integer(): number | bigint {
    const low = this.word();
    const high = this.word() | 0;
    const number = high * 2 ** 32 + low;
    return Number.isSafeInteger(number) ? number : BigInt(high) << 32n | BigInt(low);
  }

  private word(): number {
    const { bytes, at } = this;
    this.at += 4;
    return (bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 | bytes[at + 3]! << 24) >>> 0;
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
  let exports: WebAssembly.Exports;
  try {
    exports = new WebAssembly.Instance(real, imports).exports;
  } catch (cause) {
    throw notThisBuild(cause);
  }
  const isComplete = exported.every((name) => typeof exports[name] === "function");
  if (!isComplete || exports.memory === undefined) throw notThisBuild();
  return exports as unknown as Exports;
}

type ImportedFunction = (pointer: number, length: number) => void;

function notThisBuild(cause?: unknown): FerriteError {
  return new FerriteError("ERR this WebAssembly module is not the one that this version of "
    + "@ferrite/edge was built with", { cause });
}

function notThisEntry(wanted: Families): FerriteError {
  const entries = ["@ferrite/edge/lite", "@ferrite/edge"];
  if (wanted === families.strings) entries.reverse();
  return new FerriteError(`ERR this WebAssembly module is that of ${entries[0]}, and this is ${
    entries[1]}`);
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

/** Throws unless this may be a key. */
export function checkKey(key: unknown): void {
  if (typeof key === "string" || ArrayBuffer.isView(key)) return;
  throw new FerriteError(`ERR a key is text or bytes, not ${nameOf(key)}`);
}

// What subclasses may have in another way, as the language has it: a length that is not true would
// let bytes be written over the engine's memory.
const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;
const getter = <Result>(of: object, name: string | symbol) => (
  Object.getOwnPropertyDescriptor(of, name)!.get as (this: unknown) => Result);
const byteLength = getter<number>(typedArray, "byteLength");
const byteOffset = getter<number>(typedArray, "byteOffset");
const bufferOf = getter<ArrayBuffer>(typedArray, "buffer");
const kindOf = getter<string | undefined>(typedArray, Symbol.toStringTag);
const [dataLength, dataOffset, dataBuffer] = [
  getter<number>(DataView.prototype, "byteLength"),
  getter<number>(DataView.prototype, "byteOffset"),
  getter<ArrayBuffer>(DataView.prototype, "buffer"),
];
const bufferLength = getter<number>(ArrayBuffer.prototype, "byteLength");
const { keys } = typedArray as { keys(this: unknown): unknown };

/** How many bytes those are that `asBytes` gave. */
export function lengthOf(bytes: Uint8Array): number {
  return byteLength.call(bytes);
}

function plainView(bytes: Uint8Array): Bytes {
  return new Uint8Array(bufferOf.call(bytes), byteOffset.call(bytes), byteLength.call(bytes));
}

/** The bytes of a value, which may be of a subclass: only `lengthOf` tells how many. */
export function asBytes(value: unknown): Uint8Array {
  try {
    if (ArrayBuffer.isView(value)) {
      const kind = kindOf.call(value);
      if (kind === undefined) {
        return new Uint8Array(
          dataBuffer.call(value), dataOffset.call(value), dataLength.call(value),
        );
      }
      // It refuses a view whose memory is gone, or has become too short for it.
      if (byteLength.call(value) === 0) keys.call(value);
      return kind === "Uint8Array" ? value as Uint8Array : plainView(value as Uint8Array);
    }
    if (isBuffer(value)) return new Uint8Array(value);
  } catch (cause) {
    throw new FerriteError("ERR these bytes are no longer there: their memory was taken away",
      { cause });
  }
  throw new FerriteError(`ERR a key is text or bytes, a value may also be a number: not ${
    nameOf(value)}`);
}

/** Not instanceof: in some sandboxes what a fetch returns is of another realm. */
function isBuffer(value: unknown): value is ArrayBuffer {
  try {
    return bufferLength.call(value) >= 0;
  } catch {
    return false;
  }
}

function nameOf(value: unknown): string {
  return value === null ? "null" : typeof value;
}
