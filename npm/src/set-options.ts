// The options of SET, as the bits and the number that the engine takes.

import { syntaxError } from "./commands/commands.js";
import { FerriteError } from "./error.js";
import { mode } from "./instance.js";
import type { SetOptions } from "./types.js";

/** How a value is set. */
export interface SetMode {
  bits: number;
  /** In milliseconds: how long, or until when. */
  expiry: number;
}

const plain: SetMode = { bits: 0, expiry: 0 };

export function readSetOptions(options: SetOptions | undefined): SetMode {
  if (options === undefined) return plain;
  if (options === null || typeof options !== "object") throw syntaxError();
  let bits = 0;
  let expiry = 0;
  for (const name of Object.keys(options)) {
    const value: unknown = options[name as keyof SetOptions];
    if (value === undefined) continue;
    const [bit, millisecondsEach] = meanings.get(name) ?? unknown();
    if (millisecondsEach > 0) {
      if (!Number.isSafeInteger(value)) {
        throw new FerriteError("ERR value is not an integer or out of range");
      }
      expiry = millisecondsEach * (value as number);
    } else if (typeof value !== "boolean") {
      throw syntaxError();
    } else if (!value) {
      continue;
    }
    if (bit & mode.at && bits & mode.at) throw syntaxError();
    bits |= bit;
  }
  if ((bits & conditions) === conditions) throw syntaxError();
  return { bits, expiry };
}

const conditions = mode.ifAbsent | mode.ifPresent;

/** The bits of each option, and for a time the milliseconds of its unit. */
const meanings = new Map<string, [bits: number, millisecondsEach: number]>([
  ["ex", [mode.in, 1000]], ["px", [mode.in, 1]],
  ["exat", [mode.at, 1000]], ["pxat", [mode.at, 1]],
  ["keepTtl", [mode.keep, 0]], ["keepttl", [mode.keep, 0]],
  ["nx", [mode.ifAbsent, 0]], ["xx", [mode.ifPresent, 0]], ["get", [mode.withOld, 0]],
]);

function unknown(): never {
  throw syntaxError();
}
