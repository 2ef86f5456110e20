// Responses as values: status, headers and the body's bytes in one record, from which a Response is
// built without waiting for anything.
// Headers that many responses share are kept once, as one object that new Responses are given: that
// costs a quarter of building them name by name. Those that tell one resource from another stand in
// the record. A set is shared once it was seen twice, and then for good, so that no record names
// one that is gone; what does not fit the table stands in the record as well.
// Not here: what may be kept, and for how long, which is the caller's policy; and the cache.

import { FerriteError, kindOf, wrongKind } from "./error.js";
import { asBytes, joined, lengthOf } from "./instance.js";
import { isDeno, isWorkerd, readAscii, readText, wordAt } from "./text.js";
import type { Bytes, ResponseOptions } from "./types.js";

/** A body is held in JavaScript's memory until it is whole. */
export const bodyBytesMaxByDefault = 16 << 20;

// The head of a record, numbers with their lowest byte first: a mark (4 bytes), the status (2),
// flags (1), nothing (1), the token of the table (4), the number of a shared set (4), the length of
// the record's own headers (4). Then those, then the body.
const headBytes = 20;
const mark = 0x01735200;
const hasNoBody = 1;
const isAscii = 2;
const isCoded = 4;

/** Sets that are shared, how long each may be, and how many are remembered that were seen once. */
const setsMax = 512;
const setCharactersMax = 4096;
const seenMax = 512;

/** Headers of one resource, which sharing would have to know as many sets of as there are. */
const ownNames = new Set([
  "age", "cf-ray", "content-disposition", "content-location", "content-range", "date", "etag",
  "expires", "last-modified", "link", "location", "set-cookie", "x-request-id", "x-trace-id",
]);
/**
 * Headers of one connection; the length, which whoever sends the body counts anew; and the coding,
 * which is kept where it still is one.
 */
const unkeptNames = new Set([
  "connection", "content-encoding", "content-length", "keep-alive", "proxy-connection", "te",
  "trailer", "transfer-encoding", "upgrade",
]);
/** Codings that a fetch takes off a body: in some runtimes, and mostly. */
const decoded = /^\s*(?:(?:identity|x-gzip|gzip|deflate|br|zstd)\s*(?:,\s*|$))+$/i;

const encoder = new TextEncoder();

/** What is asked for first, and then, of a body of which nobody knows how long it is. */
const pieceBytesMin = 32 << 10;
const pieceBytesMax = 512 << 10;

type HeadOf = (body: readonly Uint8Array[]) => Uint8Array;

/** The responses of one cache. */
export class Responses {
  private readonly shared: Headers[] = [];
  private readonly numbers = new Map<string, number>();
  private readonly seenOnce = new Set<string>();
  /** Which table a number belongs to, should a record be copied to another cache. */
  private token = 0;

  /** What makes the head of a response's record, as it is now, once its body is there. */
  pack(response: Response, encodeBody: ResponseOptions["encodeBody"]): HeadOf {
    checkResponse(response);
    const { status } = response;
    if (!(status >= 200 && status <= 599)) {
      throw new FerriteError(`ERR a response with status ${status} cannot be kept`);
    }
    const { statusText } = response;
    const [own, common] = divide(response);
    const coding = response.headers.get("content-encoding");
    const isFetched = response.url !== "";
    const noBody = response.body === null ? hasNoBody : 0;
    return (body) => {
      const coded = coding !== null && (encodeBody === "manual" || isStillIn(coding, body));
      // Only a fetch decodes a body; who made a response says what its body is.
      if (coding !== null && (coded || !isFetched || !decoded.test(coding))) {
        common.push(`content-encoding:${coding}`);
      }
      const number = this.share(common);
      const lines = number === 0 ? [...own, ...common] : own;
      const text = encoder.encode([statusText, ...lines].join("\n"));
      const flags = noBody | (text.every((byte) => byte < 128) ? isAscii : 0)
        | (coded ? isCoded : 0);
      // Words as linear memory has them: with their lowest byte first, or nothing would work here.
      const words = Uint32Array.of(mark, status | flags << 16, this.token, number, text.length);
      return joined([new Uint8Array(words.buffer), text]);
    };
  }

  /** The response of a record, of which nothing is kept; the body is copied as it is built. */
  unpack(record: Bytes): Response {
    const bodyAt = headBytes + (record.length < headBytes ? 0 : wordAt(record, 16));
    if (record.length < bodyAt || record.length < headBytes || wordAt(record, 0) !== mark) {
      throw new FerriteError("ERR value is not a response");
    }
    const number = wordAt(record, 12);
    const headers = this.shared[number - 1];
    if (number !== 0 && (headers === undefined || wordAt(record, 8) !== this.token)) {
      throw new FerriteError("ERR value is a response that another cache has put");
    }
    const flags = record[6]!;
    const read = flags & isAscii ? readAscii : readText;
    const lines = read(record, headBytes, bodyAt).split("\n");
    const status = record[4]! | record[5]! << 8;
    const init: ResponseInit & { encodeBody?: "manual" } = { status, statusText: lines[0]! };
    if (headers) init.headers = headers;
    // A Worker would code it again; no other runtime knows the word.
    if (flags & isCoded) init.encodeBody = "manual";
    const response = new Response(flags & hasNoBody ? null : body(record, bodyAt), init);
    for (let at = 1; at < lines.length; at++) {
      response.headers.append(...asPair(lines[at]!));
    }
    return response;
  }

  /** The number under which these headers are shared; zero if they are not. */
  private share(lines: readonly string[]): number {
    const text = lines.join("\n");
    const number = this.numbers.get(text);
    if (number !== undefined) return number;
    if (this.shared.length >= setsMax || text.length > setCharactersMax) return 0;
    if (!this.seenOnce.delete(text)) {
      if (this.seenOnce.size >= seenMax) this.seenOnce.clear();
      this.seenOnce.add(text);
      return 0;
    }
    // Drawn here, since at global scope there is no randomness.
    if (this.token === 0) this.token = crypto.getRandomValues(new Uint32Array(1))[0]!;
    this.shared.push(new Headers(lines.map(asPair)));
    this.numbers.set(text, this.shared.length);
    return this.shared.length;
  }
}

/** The body of a response, to its end, unless it is too long. Nobody else may have begun to. */
export async function readBody(response: Response, bytesMax: number): Promise<Uint8Array[]> {
  const { body, headers } = response;
  if (body === null) return [];
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const keep = (value: unknown) => {
    const chunk = asBytes(value, "putResponse", 2);
    bytes += lengthOf(chunk);
    if (bytes > bytesMax) {
      throw new FerriteError(`ERR the body is longer than ${bytesMax} bytes, and is not kept`);
    }
    chunks.push(chunk);
  };
  let reader: Reader | undefined;
  try {
    // A length that was told is kept to, as long as nothing is unpacked. In workerd to read such a
    // body at once costs a fraction of what its pieces do; in Node it is the other way round.
    const told = isWorkerd ? parseInt(headers.get("content-length") ?? "", 10) : NaN;
    if (told <= bytesMax && !headers.has("content-encoding")) {
      keep(await response.arrayBuffer());
      return chunks;
    }
    reader = readerOf(body);
    for (let pieceBytes = pieceBytesMin; ; pieceBytes = Math.min(4 * pieceBytes, pieceBytesMax)) {
      const asked = reader.readAtLeast?.(pieceBytes, new Uint8Array(pieceBytes));
      const { done, value } = await (asked ?? reader.read());
      if (!done || value) keep(value);
      // Less than was asked for is what was left.
      if (done || asked && bytes % pieceBytesMin > 0) return chunks;
    }
  } catch (cause) {
    // Not awaited: of a body in two halves, one is let go only with the other.
    reader?.cancel().catch(() => {});
    if (cause instanceof FerriteError) throw cause;
    throw new FerriteError("ERR the body could not be read to its end, and is not kept", { cause });
  }
}

interface Reader {
  read(): Promise<{ done: boolean; value?: unknown }>;
  /** The same of so many bytes, or of what is left: workerd has it, for streams of bytes. */
  readAtLeast?(bytes: number, view: Uint8Array): Promise<{ done: boolean; value?: unknown }>;
  cancel(): Promise<void>;
}

/** In workerd a plain reader is given 4 KiB at a time, each of which costs more than all else. */
function readerOf(body: ReadableStream<unknown>): Reader {
  try {
    if (isWorkerd) return body.getReader({ mode: "byob" }) as unknown as Reader;
  } catch {
    // A stream of the program's own, which may be of anything.
  }
  return body.getReader() as Reader;
}

/** Throws unless this is a response whose body can still be read. */
function checkResponse(response: Response): void {
  // Not instanceof: in some sandboxes what a fetch returns is of another realm.
  if (kindOf(response) !== "Response") {
    throw wrongKind("argument 2 of 'putResponse'", "a Response", response);
  }
  // First: in Bun a Blob's body has no type any more once it was looked at.
  void response.headers.get("content-type");
  if (response.bodyUsed || response.body?.locked) {
    throw new FerriteError("ERR the body of this response was read already: put a clone()");
  }
}

/** A response's headers as lines, those of its own apart from those that others may share. */
function divide(response: Response): [own: string[], common: string[]] {
  const [own, common]: [string[], string[]] = [[], []];
  for (const [name, value] of response.headers) {
    if (unkeptNames.has(name) || name === "set-cookie") continue;
    (ownNames.has(name) ? own : common).push(`${name}:${value}`);
  }
  // Each apart: in one line their commas would be ambiguous.
  for (const cookie of response.headers.getSetCookie()) own.push(`set-cookie:${cookie}`);
  return [own, common];
}

/**
 * Whether a body is still in its coding. Deno and workerd leave deflate alone, others know no zstd,
 * and a Worker may ask for bodies as they come: those show what they are.
 */
function isStillIn(coding: string, body: readonly Uint8Array[]): boolean {
  const [first, second] = joined(body.slice(0, 2).map((chunk) => chunk.subarray(0, 2)));
  if (/deflate/i.test(coding)) return isWorkerd || isDeno;
  return first === 0x28 && second === 0xb5 || isWorkerd && first === 0x1f && second === 0x8b;
}

function asPair(line: string): [name: string, value: string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon), line.slice(colon + 1)];
}

function body(record: Bytes, start: number): Bytes {
  return copiesBodies ? record.subarray(start) : record.slice(start);
}

/** Whether this runtime's Response copies the bytes that it is given. Until it is known, no. */
let copiesBodies: boolean | undefined;

/** Finds out, for bodies that are read after this. */
export async function askForCopies(): Promise<void> {
  if (copiesBodies !== undefined) return;
  const bytes = new Uint8Array(1024);
  const response = new Response(bytes);
  bytes[0] = 1;
  copiesBodies = new Uint8Array(await response.arrayBuffer())[0] === 0;
}
