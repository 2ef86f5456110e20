// What the tests of the typed methods share.

import { FerriteError, initFerrite, type LiteCache } from "@ferrite/edge";
import { initFerrite as initLite } from "@ferrite/edge/lite";
import { expect } from "vitest";

/** What is tested of both: where they agree the lite one's type is that of either. */
export const entries = [
  { entry: "@ferrite/edge", isLite: false, init: initFerrite },
  { entry: "@ferrite/edge/lite", isLite: true, init: initLite },
] as const;

/** Plain JavaScript, which no compiler checks. */
export const plain = (value: unknown) => value as never;

/** The action throws a FerriteError with this message and code. */
export function refused(action: () => unknown, message: string | RegExp, code = "ERR"): void {
  let error: unknown;
  try {
    action();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(FerriteError);
  const { name, message: given, code: givenCode } = error as FerriteError;
  expect(given).toMatch(message);
  if (typeof message === "string") expect(given).toBe(message);
  expect([name, givenCode]).toEqual(["FerriteError", code]);
}

/** The FerriteError with which the promise is rejected. */
export async function rejected(promise: Promise<unknown>): Promise<FerriteError> {
  const error = await promise.then(() => undefined, (thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(FerriteError);
  return error as FerriteError;
}

/** What is said of an argument that is none. */
export const noKey = /^ERR argument 1 of '\w+', a key, must be text or bytes, not [A-Z]/;
export const noValue = /^ERR argument \d of '\w+' must be text, bytes or a number, not [A-Z]/;

export const wrongType = "WRONGTYPE Operation against a key holding the wrong kind of value";

/** Names that JavaScript's objects have already, or treat in a way of their own. */
export const awkwardNames = [
  "__proto__", "constructor", "toString", "hasOwnProperty", "length", "0", "-1", "", " ", "\0",
];

interface Inside {
  instance: { exports: { memory: WebAssembly.Memory }; start: number };
}

/** Overwrites all that the engine owns, but for the scratch area and what is below it. */
export function destroy(cache: LiteCache): void {
  const { exports, start } = (cache as unknown as Inside).instance;
  const bytes = new Uint8Array(exports.memory.buffer);
  bytes.fill(0xff, start + (64 << 10));
  bytes.fill(0xff, 0, start - 8);
}
