// The handler of both routes. Each runtime loads this file for itself, so each has a cache of its
// own: one in every instance of the Node function, one in every isolate of the edge function.

import { initFerrite } from "@ferrite/edge";
import { fetchFromOrigin } from "./origin";

const cache = await initFerrite({ maxMemory: "32mb" });
const keyLengthMax = 200;

export async function GET(request: Request): Promise<Response> {
  const key = new URL(request.url).searchParams.get("key");
  if (!key) return answer("Which key? Ask for ?key=...\n", 400);
  // The cache refuses keys of more than 8000 bytes, and nobody needs to ask the origin for those.
  if (key.length > keyLengthMax) return answer("No key is that long.\n", 400);

  const cached = cache.get(key);
  if (cached !== null) return answer(cached, 200, "HIT");

  let data: string;
  try {
    data = await fetchFromOrigin(key);
  } catch (error) {
    return answer(`The origin did not answer: ${error}\n`, 502);
  }
  cache.set(key, data, { ex: 120 });
  return answer(data, 200, "MISS");
}

function answer(body: string, status: number, cache = "BYPASS"): Response {
  // Nothing between here and the visitor keeps the answer: what it shows is this cache at work.
  return new Response(body, { status, headers: { "X-Cache": cache, "Cache-Control": "no-store" } });
}
