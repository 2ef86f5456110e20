// Commands on strings and keys that the lite entry does not have: each is rarely asked for, and
// would be a twentieth of its wasm.

import { LiteCache } from "../lite-cache.js";
import type { Key, MaybeKey } from "../types.js";
import { isKey, wordsOf } from "./commands.js";

/** The options of COPY. */
export interface CopyOptions {
  /** Over what is there. */
  replace?: boolean;
}

export abstract class MoreCommands extends LiteCache {
  /** Copies a value with its expiry. 1, or 0 if it is not there or the destination is. */
  copy(source: Key, destination: Key, options: CopyOptions = {}): number {
    return this.number("copy", [source, destination, ...wordsOf(options, ["replace"])]);
  }

  /** How a value is stored, in Redis's words; null if it is not there. */
  object(about: "encoding" | "ENCODING", key: MaybeKey): string | null;
  /** About how often a key was used, where the policy is one of LFU; null if it is not there. */
  object(about: "freq" | "FREQ", key: MaybeKey): number | null;
  /** How many seconds a key was not used, at the least, where the policy is none of LFU. */
  object(about: "idletime" | "IDLETIME", key: MaybeKey): number | null;
  /** Always 1; null if the key is not there. */
  object(about: "refcount" | "REFCOUNT", key: MaybeKey): number | null;
  object(about: string, key: MaybeKey): string | number | null {
    return isKey(key) ? this.run("object", [about, key]) as string | number | null : null;
  }

  /**
   * Adds to a decimal number, which starts at zero. The sum, as near as a number comes to it:
   * `call` gives all its digits.
   */
  incrbyfloat(key: Key, increment: number | string): number {
    return this.number("incrbyfloat", [key, increment]);
  }
}
