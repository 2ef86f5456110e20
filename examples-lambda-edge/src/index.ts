// A viewer-request function: whoever asks for a path that has moved is sent on, from a table that
// is fetched at most once a minute. Everything else goes on to CloudFront's cache.

import initFerrite, { type FerriteCache } from "@ferrite/edge";
import type { Event, Request, Response } from "./cloudfront.js";

/** Where the table is: build.js writes it in, as Lambda@Edge has no environment variables. */
declare const REDIRECTS: string;

const secondsKept = 60;
const secondsUntilRetry = 5;
const patienceMs = 2_000;

// Outside the handler: as long as AWS keeps this execution environment, the next request finds it.
// The table is all there is to keep, so nothing may be evicted: one that is too large is an error.
const starting = initFerrite({ maxMemory: "16mb", evictionPolicy: "noeviction" });

export async function handler(event: Event): Promise<Request | Response> {
  const { request } = event.Records[0]!.cf;
  const cache = await starting;
  if (!cache.exists("fresh")) await load(cache);
  const target = cache.hget("redirects", request.uri);
  return target === null ? request : redirect(target, request.querystring);
}

/** Replaces the table. While its source does not answer, the old one is as good as it gets. */
async function load(cache: FerriteCache): Promise<void> {
  try {
    const response = await fetch(REDIRECTS, { signal: AbortSignal.timeout(patienceMs) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const table = await response.json() as Record<string, string>;
    cache.del("next");
    for (const [path, target] of Object.entries(table)) cache.hset("next", path, target);
    if (cache.exists("next")) cache.rename("next", "redirects");
    else cache.del("redirects");
    cache.set("fresh", "", { ex: secondsKept });
  } catch (error) {
    console.error(`the redirects were not loaded: ${error}`);
    cache.del("next");
    cache.set("fresh", "", { ex: secondsUntilRetry });
  }
}

function redirect(target: string, querystring: string): Response {
  const location = querystring ? `${target}?${querystring}` : target;
  return {
    status: "301",
    statusDescription: "Moved Permanently",
    headers: {
      location: [{ key: "Location", value: location }],
      "cache-control": [{ key: "Cache-Control", value: `max-age=${secondsKept}` }],
    },
  };
}
