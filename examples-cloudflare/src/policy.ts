// What a shared cache may keep, and for how long: the part of RFC 9111 that this proxy honours.
// Pure: it sees methods, statuses and headers, never the cache or a clock.
// Not here, on purpose: guessing. A response that does not state its lifetime is never kept.

/** Statuses that stand for the whole resource, so that a kept answer is as good as a new one. */
const cacheableStatuses = new Set([200, 203, 301, 302, 307, 308, 404, 410]);

/** Bodies that the runtime decodes as they are read; kept in another coding they would be noise. */
const decodedCodings = new Set(["", "identity", "gzip", "br"]);

const secondsMax = 365 * 24 * 60 * 60;

/** Whether a kept response may answer this request, and the answer to it be kept. */
export function mayUseCache(method: string, headers: Headers): boolean {
  if (method !== "GET" && method !== "HEAD") return false;
  if (["Authorization", "Range", "Upgrade"].some((name) => headers.has(name))) return false;
  const asked = directives(headers);
  return !asked.has("no-store") && !asked.has("no-cache");
}

/** For how many seconds this response may be kept and used again; 0 means not at all. */
export function freshSeconds(status: number, headers: Headers): number {
  if (!cacheableStatuses.has(status) || headers.has("Set-Cookie")) return 0;
  if (!decodedCodings.has((headers.get("Content-Encoding") ?? "").toLowerCase())) return 0;
  // Bodies are kept decoded, so they do not vary by encoding. By anything else, they are not kept.
  if (list(headers.get("Vary")).some((name) => name !== "accept-encoding")) return 0;
  const said = directives(headers);
  if (["no-store", "private", "no-cache"].some((name) => said.has(name))) return 0;
  const lifetime = seconds(said.get("s-maxage") ?? said.get("max-age"));
  return Math.min(Math.max(lifetime - seconds(headers.get("Age")), 0), secondsMax);
}

/** Reads what is written in seconds; what is not a whole number counts as none. */
export function seconds(text: string | null | undefined): number {
  return /^\d+$/.test(text ?? "") ? Number(text) : 0;
}

function directives(headers: Headers): Map<string, string> {
  const found = new Map<string, string>();
  for (const member of list(headers.get("Cache-Control"))) {
    const [name = "", value = ""] = member.split("=", 2).map((part) => part.trim());
    if (!found.has(name)) found.set(name, value.replaceAll('"', ""));
  }
  return found;
}

function list(header: string | null): string[] {
  return (header ?? "").toLowerCase().split(",").map((item) => item.trim()).filter(Boolean);
}
