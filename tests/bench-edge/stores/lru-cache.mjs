// lru-cache as a store of pages: bodies as strings or as bytes, bounded by count, or by size in the
// mix of pages. What has a head of its own is kept as a record of status, headers and body: the
// headers as pairs, as most people write it, or as a Headers object, which answers faster and takes
// more memory, each record having its own.

import { LRUCache } from "lru-cache";
import { shared } from "../pages.mjs";

const asText = (response) => response.text();
const asBytes = (response) => response.bytes();
const asPairs = (headers) => [...headers];
const asObject = (headers) => new Headers(headers);

// V8 takes two bytes for each character of a string that has any beyond Latin-1.
const bytesOf = (body) => (typeof body === "string" ? 2 * body.length : body.length);

const storeOf = (read, copyHeaders) => ({
  open({ kind, keys, mixed, budgetBytes }) {
    const sizeCalculation = (body, path) => path.length + bytesOf(body);
    const cache = new LRUCache(mixed ? { maxSize: budgetBytes, sizeCalculation } : { max: keys });
    return kind === "response" ? records(cache, read, copyHeaders) : bodies(cache, read);
  },
});

export const strings = storeOf(asText, asPairs);
export const bytes = storeOf(asBytes, asPairs);
export const stringsAndHeaders = storeOf(asText, asObject);
export const bytesAndHeaders = storeOf(asBytes, asObject);

function bodies(cache, read) {
  return {
    find(path) {
      const body = cache.get(path);
      return body === undefined ? null : new Response(body, shared);
    },
    async keep(path, response) {
      const body = await read(response);
      cache.set(path, body);
      return new Response(body, shared);
    },
  };
}

function records(cache, read, copyHeaders) {
  return {
    find(path) {
      const record = cache.get(path);
      return record === undefined ? null : new Response(record.body, record);
    },
    async keep(path, response) {
      const { status } = response;
      const headers = copyHeaders(response.headers);
      const body = await read(response);
      cache.set(path, { status, headers, body });
      return new Response(body, { status, headers });
    },
  };
}
