// The options of SET, as the bits and the number that the engine takes.

import { checkOptions, refusedOption } from "./commands/commands.js";
import { reading } from "./error.js";
import { Mode } from "./face.js";
import type { SetOptions } from "./types.js";

/** How a value is set. */
export interface SetMode {
  bits: number;
  /** In milliseconds: how long, or until when. */
  expiry: number;
}

const plain: SetMode = { bits: 0, expiry: 0 };

/** What a command is given as options. */
export function readSetOptions(command: string, options: SetOptions | undefined): SetMode {
  return options === undefined ? plain : reading(() => readGiven(command, options));
}

function readGiven(command: string, options: SetOptions): SetMode {
  checkOptions(command, options);
  let bits = 0;
  let expiry = 0;
  for (const name of Object.keys(options)) {
    const value: unknown = options[name as keyof SetOptions];
    if (value === undefined) continue;
    const [bit, millisecondsEach] = meanings.get(name) ?? none;
    if (millisecondsEach > 0) {
      if (!Number.isSafeInteger(value)) {
        throw refusedOption(command, name, "ERR value is not an integer or out of range");
      }
      expiry = millisecondsEach * (value as number);
    } else if (value === false && bit > 0) {
      continue;
    }
    const excluded = bit & Mode.at ? Mode.at : bit & conditions ? conditions : 0;
    if (bit === 0 || bits & excluded || millisecondsEach === 0 && value !== true) {
      throw refusedOption(command, name);
    }
    bits |= bit;
  }
  return { bits, expiry };
}

const conditions = Mode.ifAbsent | Mode.ifPresent;

/** The bits of each option, and for a time the milliseconds of its unit. */
const meanings = /* @__PURE__ */ new Map<string, readonly [bits: number, each: number]>([
  ["ex", [Mode.in, 1000]], ["px", [Mode.in, 1]],
  ["exat", [Mode.at, 1000]], ["pxat", [Mode.at, 1]],
  ["keepTtl", [Mode.keep, 0]], ["keepttl", [Mode.keep, 0]],
  ["nx", [Mode.ifAbsent, 0]], ["xx", [Mode.ifPresent, 0]], ["get", [Mode.withOld, 0]],
]);
const none = [0, 0] as const;
