// Before every request to the API: a visitor who asks too often in a minute is turned away.
// Best effort: each instance counts what passes through it, and forgets when it ends. A limit that
// must hold belongs into a store that instances share.

import { initFerrite } from "@ferrite/edge";
import { NextResponse, type NextRequest } from "next/server";

const requestsMax = 100;
const windowSeconds = 60;

const cache = await initFerrite({ maxMemory: "2mb", evictionPolicy: "volatile-ttl" });

export function proxy(request: NextRequest): Response {
  // Vercel writes this header itself; without such a front, a visitor may write anything.
  const visitor = request.headers.get("x-forwarded-for")?.split(",")[0]?.trim() || "unknown";
  const key = `rate:${visitor}`;
  const count = cache.incr(key);
  if (count === 1) cache.expire(key, windowSeconds);
  if (count <= requestsMax) return NextResponse.next();
  const headers = { "Retry-After": String(Math.max(cache.ttl(key), 1)) };
  return new Response("Too Many Requests\n", { status: 429, headers });
}

export const config = { matcher: "/api/:path*" };
