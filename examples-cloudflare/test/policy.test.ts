import { describe, expect, it } from "vitest";
import { freshSeconds, mayUseCache } from "../src/policy.js";

const fresh = (headers: Record<string, string>, status = 200) =>
  freshSeconds(status, new Headers(headers));
const control = (text: string) => fresh({ "Cache-Control": text });

describe("a request", () => {
  it("may use the cache when it is a plain GET or HEAD", () => {
    expect(mayUseCache("GET", new Headers())).toBe(true);
    expect(mayUseCache("HEAD", new Headers({ Cookie: "a=1" }))).toBe(true);
  });
  it.each(["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])("may not with %s", (method) => {
    expect(mayUseCache(method, new Headers())).toBe(false);
  });
  it.each([
    ["Authorization", "Basic YTpi"], ["Range", "bytes=0-9"], ["Upgrade", "websocket"],
    ["Cache-Control", "no-store"], ["Cache-Control", "max-age=0, No-Cache"],
  ])("may not with %s: %s", (name, value) => {
    expect(mayUseCache("GET", new Headers({ [name]: value }))).toBe(false);
  });
});

describe("a response", () => {
  it("is kept for as long as it says", () => {
    expect(control("max-age=60")).toBe(60);
    expect(control("Public , MAX-AGE=60")).toBe(60);
    expect(control('max-age="60"')).toBe(60);
  });
  it("heeds s-maxage before max-age, whichever comes first", () => {
    expect(control("max-age=60, s-maxage=300")).toBe(300);
    expect(control("s-maxage=0, max-age=60")).toBe(0);
  });
  it("has already used up its Age", () => {
    expect(fresh({ "Cache-Control": "max-age=60", Age: "20" })).toBe(40);
    expect(fresh({ "Cache-Control": "max-age=60", Age: "61" })).toBe(0);
  });
  it("is kept for a year at most", () => {
    expect(control("max-age=99999999999999999999")).toBe(365 * 24 * 3600);
  });
  it.each(["", "public", "max-age", "max-age=0", "max-age=-1", "max-age=1.5", "max-age=1h",
    "no-store, max-age=60", "private, max-age=60", 'private="x-user", max-age=60',
    "no-cache, max-age=60", 'no-cache="set-cookie", max-age=60', "max-age=60, NO-STORE",
  ])("is not kept with Cache-Control: %s", (text) => {
    expect(control(text)).toBe(0);
  });
  it.each([
    ["Set-Cookie", "a=1"], ["Vary", "*"], ["Vary", "Cookie"], ["Vary", "Accept-Encoding, Origin"],
    ["Content-Encoding", "zstd"],
  ])("is not kept with %s: %s", (name, value) => {
    expect(fresh({ "Cache-Control": "max-age=60", [name]: value })).toBe(0);
  });
  it.each([
    ["Vary", "Accept-Encoding"], ["Vary", "accept-encoding,"], ["Content-Encoding", "gzip"],
    ["ETag", '"1"'],
  ])("is kept with %s: %s", (name, value) => {
    expect(fresh({ "Cache-Control": "max-age=60", [name]: value })).toBe(60);
  });
  it.each([200, 203, 301, 302, 307, 308, 404, 410])("is kept with status %i", (status) => {
    expect(fresh({ "Cache-Control": "max-age=60" }, status)).toBe(60);
  });
  it.each([201, 204, 206, 303, 304, 400, 401, 403, 429, 500, 502, 503])(
    "is not kept with status %i", (status) => {
      expect(fresh({ "Cache-Control": "max-age=60" }, status)).toBe(0);
    });
});
