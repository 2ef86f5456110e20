// The numbers that this package and the wasm agree on (bindings-js has the same): as enums, of
// which a bundle has the values and not the names.

/** Which build of which version it is. */
export const face = 0x4652_0005;

/** What an engine has beside that: strings and keys, or all. */
export const enum Families { strings, all }

/** What `get` and `set` return instead of a length. */
export const enum Result { missing = -1, failed = -2, untimed = -3 }

/** Flags of what `get` found: ASCII; several runs of bytes. */
export const enum Found { ascii = 1, runs = 2 }

/** Bits of the mode of `set`. */
export const enum Mode {
  ifAbsent = 1, ifPresent = 1 << 1, keep = 1 << 2, in = 2 << 2, at = 3 << 2, withOld = 1 << 4,
  streamed = 1 << 5, append = 1 << 6,
}

/** What comes next in a reply. */
export const enum Tag {
  simple = 43, error = 45, bulk = 36, ascii = 97, integer = 58, array = 42, null = 95,
}
