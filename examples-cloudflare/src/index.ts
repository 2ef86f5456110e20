// A caching reverse proxy in front of env.ORIGIN. What may be kept is policy.ts's to say; how a
// response becomes one value is record.ts's.
// Every answer says how it came about. X-Cache is HIT (from memory), MISS (from the origin, and now
// kept, if it is not too large) or BYPASS (from the origin, and not for keeping).

import initFerrite, { FerriteError } from "@ferrite/edge";
import { freshSeconds, mayUseCache, seconds } from "./policy.js";
import { pack, unpack, type Head } from "./record.js";

interface Env {
  ORIGIN: string;
}

// Global scope: one cache lives as long as its isolate and serves every request that comes there.
const cache = await initFerrite({ maxMemory: "64mb", evictionPolicy: "allkeys-lru" });

/** The largest body worth a place in those 64 MB. */
const bodyBytesMax = 4 << 20;

/** Headers of one connection or one encoding, not of the resource. */
const unkept = ["Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length",
  "Content-Encoding", "Age"];

export default {
  async fetch(request, env, context): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname === "/__ferrite/stats") return Response.json(cache.stats());

    const usable = mayUseCache(request.method, request.headers);
    const key = url.pathname + url.search;
    const record = usable ? cache.getBytes(key) : null;
    if (record) return fromCache(request, record);

    let response: Response;
    try {
      response = await askOrigin(request, new URL(key, env.ORIGIN), usable);
    } catch {
      return new Response("502: the origin does not answer\n", { status: 502 });
    }
    response = new Response(response.body, response);
    const keepSeconds = usable ? freshSeconds(response.status, response.headers) : 0;
    response.headers.set("X-Cache", keepSeconds > 0 ? "MISS" : "BYPASS");
    if (keepSeconds === 0 || request.method !== "GET" || !response.body) return response;

    // The visitor gets the body as it arrives; the cache gets it once it is whole.
    const [toVisitor, toCache] = response.body.tee();
    context.waitUntil(keep(key, headOf(response), toCache, keepSeconds));
    return new Response(toVisitor, response);
  },
} satisfies ExportedHandler<Env>;

function fromCache(request: Request, record: Uint8Array): Response {
  const { head, body } = unpack(record);
  const headers = new Headers(head.headers);
  headers.set("X-Cache", "HIT");
  headers.set("Age", String(Math.max(0, Math.floor((Date.now() - head.bornAt) / 1000))));
  const etag = headers.get("ETag");
  if (etag && request.headers.get("If-None-Match") === etag) {
    return new Response(null, { status: 304, headers });
  }
  return new Response(request.method === "HEAD" ? null : body, { status: head.status, headers });
}

function askOrigin(request: Request, url: URL, usable: boolean): Promise<Response> {
  const headers = new Headers(request.headers);
  // What is to be kept must come whole, so the visitor's conditions stay here.
  if (usable) ["If-None-Match", "If-Modified-Since"].forEach((name) => headers.delete(name));
  return fetch(url, { method: request.method, headers, body: request.body, redirect: "manual" });
}

function headOf(response: Response): Head {
  const headers = new Headers(response.headers);
  for (const name of [...unkept, "X-Cache"]) headers.delete(name);
  const bornAt = Date.now() - 1000 * seconds(response.headers.get("Age"));
  return { status: response.status, headers: [...headers], bornAt };
}

async function keep(key: string, head: Head, body: ReadableStream<Uint8Array>, ex: number) {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) return; // leaving the loop cancels this half of the body
    chunks.push(chunk);
  }
  try {
    cache.set(key, pack(head, chunks), { ex });
  } catch (error) {
    // A limit of the cache: the visitor has the answer anyway, it is only not kept.
    if (!(error instanceof FerriteError)) throw error;
  }
}
