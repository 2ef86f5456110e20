// The wasm as a bundle carries it: deflated and then base64, which gzip and brotli undo almost
// entirely, so it weighs a fifth less on the wire than base64 of the wasm itself.
// Invariant: nothing is imported, so no bundler has anything to resolve, for a browser or a server.

import { FerriteError } from "./error.js";

interface Zlib {
  inflateRawSync(bytes: Uint8Array): Uint8Array<ArrayBuffer>;
}

/** What only some runtimes have. */
interface Globals {
  process?: { getBuiltinModule?(name: string): unknown };
  Buffer?: { from(text: string, encoding: "base64"): Uint8Array<ArrayBuffer> };
  DecompressionStream?: typeof DecompressionStream;
}

/** The bytes of `base64`, inflated. */
export async function inflate(base64: string): Promise<BufferSource> {
  const { DecompressionStream } = globalThis as Globals;
  const packed = bytesOf(base64);
  const zlib = findZlib();
  if (zlib) return zlib.inflateRawSync(packed);
  if (!DecompressionStream) {
    throw new FerriteError("ERR this runtime has no DecompressionStream: import "
      + "@ferrite/edge/ferrite.wasm as it imports wasm, and call initFerrite(module, options)");
  }
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).arrayBuffer();
}

/** Of Node, Deno or Bun: it takes a millisecond, where a first stream takes Node some thirty. */
function findZlib(): Zlib | undefined {
  try {
    return (globalThis as Globals).process?.getBuiltinModule?.("node:zlib") as Zlib | undefined;
  } catch {
    // Vercel's edge runtime throws at the mere name.
    return undefined;
  }
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const { Buffer } = globalThis as Globals;
  if (Buffer) return Buffer.from(base64, "base64");
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let position = 0; position < text.length; position++) {
    bytes[position] = text.charCodeAt(position);
  }
  return bytes;
}
