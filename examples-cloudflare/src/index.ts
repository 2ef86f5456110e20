// A caching reverse proxy in front of env.ORIGIN. What may be kept is policy.ts's to say.
// Every answer says how it came about. X-Cache is HIT (from memory), MISS (from the origin, and now
// kept, if it is not too large) or BYPASS (from the origin, and not for keeping).

import initFerrite, { FerriteError } from "@ferrite/edge";
import { freshSeconds, mayUseCache, seconds } from "./policy.js";

interface Env {
  ORIGIN: string;
}

// Global scope: one cache lives as long as its isolate and serves every request that comes there.
const cache = await initFerrite({ maxMemory: "64mb", evictionPolicy: "allkeys-lru" });

/** The largest body worth a place in those 64 MB. */
const maxBodyBytes = 4 << 20;

export default {
  async fetch(request, env, context): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname === "/__ferrite/stats") return Response.json(cache.stats());

    const usable = mayUseCache(request.method, request.headers);
    const key = url.pathname + url.search;
    const kept = usable ? cache.getResponse(key) : null;
    if (kept) return fromCache(request, kept);

    let response: Response;
    try {
      response = await askOrigin(request, new URL(key, env.ORIGIN), usable);
    } catch {
      return new Response("502: the origin does not answer\n", { status: 502 });
    }
    response = new Response(response.body, response);
    const ex = usable ? freshSeconds(response.status, response.headers) : 0;
    // The visitor gets the body as it arrives; the cache keeps it once it is whole.
    if (ex > 0 && request.method === "GET" && response.body) {
      context.waitUntil(keep(key, dated(response.clone()), ex));
    }
    response.headers.set("X-Cache", ex > 0 ? "MISS" : "BYPASS");
    return response;
  },
} satisfies ExportedHandler<Env>;

function fromCache(request: Request, kept: Response): Response {
  const { headers } = kept;
  headers.set("X-Cache", "HIT");
  headers.set("Age", String(ageOf(headers)));
  const etag = headers.get("ETag");
  if (etag && request.headers.get("If-None-Match") === etag) {
    return new Response(null, { status: 304, headers });
  }
  return request.method === "HEAD" ? new Response(null, kept) : kept;
}

function askOrigin(request: Request, url: URL, usable: boolean): Promise<Response> {
  const headers = new Headers(request.headers);
  // What is to be kept must come whole, so the visitor's conditions stay here.
  if (usable) ["If-None-Match", "If-Modified-Since"].forEach((name) => headers.delete(name));
  return fetch(url, { method: request.method, headers, body: request.body, redirect: "manual" });
}

/** With the Date it was made at, by this clock, in place of the Age that it had when it came. */
function dated(response: Response): Response {
  const madeAt = Date.now() - 1000 * seconds(response.headers.get("Age"));
  response.headers.set("Date", new Date(madeAt).toUTCString());
  response.headers.delete("Age");
  return response;
}

/** Whole seconds since then. */
function ageOf(headers: Headers): number {
  return Math.max(0, Math.floor((Date.now() - Date.parse(headers.get("Date") ?? "")) / 1000)) || 0;
}

async function keep(key: string, response: Response, ex: number): Promise<void> {
  try {
    await cache.putResponse(key, response, { ex, maxBodyBytes });
  } catch (error) {
    // A limit of the cache: the visitor has the answer anyway, it is only not kept.
    if (!(error instanceof FerriteError)) throw error;
  }
}
