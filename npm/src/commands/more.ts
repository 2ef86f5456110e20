// Commands on strings and keys that the lite entry does not have: few ask them of a cache, and
// together they would be a fifth of its wasm.

import { LiteCache } from "../lite-cache.js";
import { Mode } from "../face.js";
import type { Key, MaybeKey, Value } from "../types.js";
import { isKey, wordsOf } from "./commands.js";

/** The options of COPY. */
export interface CopyOptions {
  /** Over what is there. */
  replace?: boolean;
}

export abstract class MoreCommands extends LiteCache {
  /** Copies a value with its expiry. 1, or 0 if it is not there or the destination is. */
  copy(source: Key, destination: Key, options: CopyOptions = {}): number {
    return this.number("copy", [source, destination, ...wordsOf("copy", options, [], "replace")],
      2);
  }

  /** Gives a key another name, over what had that name before. */
  rename(key: Key, name: Key): "OK" {
    return this.run("rename", [key, name], 2) as "OK";
  }

  /** Gives a key another name, if it is free: 1, or 0. */
  renamenx(key: Key, name: Key): number {
    return this.number("renamenx", [key, name], 2);
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
    return isKey(key) ? this.run("object", [about, key], 2) as string | number | null : null;
  }

  /**
   * Adds to a decimal number, which starts at zero. The sum, as near as a number comes to it:
   * `call` gives all its digits.
   */
  incrbyfloat(key: Key, increment: number | string): number {
    return this.number("incrbyfloat", [key, increment]);
  }

  /** Adds to the end of a string. Its length in bytes afterwards. */
  append(key: Key, value: Value): number {
    return this.put("append", key, value, Mode.append, 0);
  }

  /** Bytes `start` to `end` of a string, that one included; negative ones count from its end. */
  getrange(key: MaybeKey, start: number, end: number): string {
    return this.read("getrange", key, [start, end], "");
  }

  /** `getrange` by its older name. */
  substr(key: MaybeKey, start: number, end: number): string {
    return this.read("substr", key, [start, end], "");
  }

  /**
   * Writes over a string from a byte on, behind zeros if it is shorter. Its length afterwards. What
   * is written is held to the limit of one call (61432 bytes).
   */
  setrange(key: Key, offset: number, value: Value): number {
    return this.number("setrange", [key, offset, value]);
  }
}
