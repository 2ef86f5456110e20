// Text to bytes and back, by the fastest means that the runtime has.
// Invariant: what cannot be written as UTF-8 is refused, and what was written comes back exactly.
// Buffer's functions are called on plain views of linear memory, as Node and workerd have them;
// Deno's own are written in JavaScript and slower than TextEncoder, its latin1Slice is not.

import { FerriteError } from "./error.js";
import type { Bytes } from "./types.js";

/** The functions of Node's Buffer, which take any bytes as `this`. */
interface BufferFunctions {
  utf8Write?(this: Bytes, text: string, offset: number, length: number): number;
  latin1Slice?(this: Bytes, start: number, end: number): string;
}

const { Buffer, Deno, navigator } = globalThis as unknown as {
  Buffer?: { prototype?: BufferFunctions }; Deno?: unknown; navigator?: { userAgent?: string };
};
const { latin1Slice, utf8Write } = Buffer?.prototype ?? {};
const hasSlice = typeof latin1Slice === "function";
const hasWrite = hasSlice && typeof utf8Write === "function" && !Deno;
export const isDeno = Deno !== undefined;
export const isWorkerd = navigator?.userAgent === "Cloudflare-Workers";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

const isNode = hasWrite && !isWorkerd;

/** Up to this many characters a loop is faster than a call. (In Node a call always is as fast.) */
const loopCharactersMax = isNode ? 0 : 40;
/** From this many bytes on a call is faster than concatenation. */
const sliceBytesMin = 12;

/** Writes text to `bytes` from `start`, and returns its length; -1 if it does not fit. */
export function writeText(bytes: Bytes, text: string, start: number, end: number): number {
  const length = text.length;
  if (length <= loopCharactersMax && length <= end - start) {
    let position = 0;
    for (; position < length; position++) {
      const code = text.charCodeAt(position);
      if (code > 127) break;
      bytes[start + position] = code;
    }
    if (position === length) return length;
  }
  let written: number;
  if (hasWrite && 3 * length <= end - start) {
    written = utf8Write!.call(bytes, text, start, end - start);
  } else {
    if (length > end - start) return -1;
    const result = encoder.encodeInto(text, bytes.subarray(start, end));
    written = result.written;
    if (result.read !== length) {
      refuseIllFormed(text);
      return -1;
    }
  }
  if (written !== length) refuseIllFormed(text);
  return written;
}

/** Writes a key to the start of `bytes`, and returns its length; -1 if it does not fit. */
export function writeKey(bytes: Bytes, key: string): number {
  const length = key.length;
  // Keys are mostly made where they are used, by concatenation; Buffer is slow with such.
  if (!isNode) return writeText(bytes, key, 0, bytes.length);
  const { read, written } = encoder.encodeInto(key, bytes);
  if (read !== length) return -1;
  if (written !== length) refuseIllFormed(key);
  return written;
}

/** The bytes of text that is too long to be written in place. */
export function encodeText(text: string): Uint8Array {
  const bytes = encoder.encode(text);
  if (bytes.length !== text.length) refuseIllFormed(text);
  return bytes;
}

/** The text of ASCII bytes. */
export function readAscii(bytes: Bytes, start: number, end: number): string {
  if (end - start < sliceBytesMin) {
    let text = "";
    for (let position = start; position < end; position++) {
      text += String.fromCharCode(bytes[position]!);
    }
    return text;
  }
  if (hasSlice) return latin1Slice!.call(bytes, start, end);
  return decoder.decode(bytes.subarray(start, end));
}

/** The text of any bytes. What is not UTF-8 is replaced, as everywhere in JavaScript. */
export function readText(bytes: Bytes, start: number, end: number): string {
  return decoder.decode(bytes.subarray(start, end));
}

/** A number of 32 bits, its lowest byte first. */
export function wordAt(bytes: Bytes, at: number): number {
  return (bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 | bytes[at + 3]! << 24) >>> 0;
}

function isWellFormed(text: string): boolean {
  const known = text as { isWellFormed?(): boolean };
  return known.isWellFormed ? known.isWellFormed() : !/\p{Surrogate}/u.test(text);
}

function refuseIllFormed(text: string): void {
  if (isWellFormed(text)) return;
  throw new FerriteError("ERR text with half a surrogate pair cannot be written as UTF-8: "
    + "pass bytes instead");
}
