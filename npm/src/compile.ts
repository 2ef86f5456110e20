// Makes a module of the wasm as a bundle carries it: deflated and then base64. gzip and brotli undo
// base64 almost entirely, so it weighs a fifth less on the wire than the plain wasm in base64.
// Invariant: nothing is imported, so no bundler has anything to resolve, for a browser or a server.

import { FerriteError } from "./error.js";
import type { FerriteModule } from "./types.js";

interface Zlib {
  inflateRawSync(bytes: Uint8Array): Uint8Array<ArrayBuffer>;
}

/** What only some runtimes have. */
interface Globals {
  process?: { getBuiltinModule?(name: string): unknown };
  Buffer?: { from(text: string, encoding: "base64"): Uint8Array<ArrayBuffer> };
  DecompressionStream?: typeof DecompressionStream;
  WebAssembly?: typeof WebAssembly;
}

/** A loader for `makeInit`, which compiles once. What fails is tried again the next time. */
export function inlined(base64: string): () => Promise<FerriteModule> {
  let module: Promise<FerriteModule> | undefined;
  return () => module ??= compile(base64).catch((error) => {
    module = undefined;
    throw error;
  });
}

async function compile(base64: string): Promise<FerriteModule> {
  const { WebAssembly } = globalThis as Globals;
  if (!WebAssembly) throw new FerriteError("ERR this runtime has no WebAssembly");
  const packed = bytesOf(base64);
  const zlib = findZlib();
  try {
    // A server: both take a millisecond. A first stream would take Node some thirty, and compiling
    // on another thread a few.
    if (zlib) return new WebAssembly.Module(zlib.inflateRawSync(packed));
    return await WebAssembly.compile(await inflate(packed));
  } catch (cause) {
    if (cause instanceof FerriteError) throw cause;
    throw new FerriteError("ERR this runtime does not compile WebAssembly from bytes. Where it is "
      + "a page's Content-Security-Policy that forbids it, add 'wasm-unsafe-eval' to script-src; "
      + `else ${otherWay}`, { cause });
  }
}

const otherWay = "import @ferrite/edge/ferrite.wasm as this runtime imports wasm, and call "
  + "initFerrite(module, options)";

/** Of Node, Deno or Bun. */
function findZlib(): Zlib | undefined {
  try {
    return (globalThis as Globals).process?.getBuiltinModule?.("node:zlib") as Zlib | undefined;
  } catch {
    // Vercel's edge runtime throws at the mere name.
    return undefined;
  }
}

function inflate(packed: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  const { DecompressionStream } = globalThis as Globals;
  if (!DecompressionStream) {
    throw new FerriteError(`ERR this runtime has no DecompressionStream: ${otherWay}`);
  }
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).arrayBuffer();
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
