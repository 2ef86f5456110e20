// Memory for bytes that are shown to a user's function and that nobody should read afterwards.
// Invariant: no view of it ever shows what was written after it was handed out. Memory is used
// again only once it was taken from all views of it, which then have no bytes (`transfer`, where
// the runtime has it); and never when the runtime itself may still read it, as a socket reads what
// it was given to write, which does not go by views.
// Not here: what is shown.

import type { Bytes } from "./types.js";

/** Small enough to stay in the processor's caches; a longer value has an array of its own. */
const poolBytes = 64 << 10;
/** Where a view begins, so that whoever reads words can. */
const alignment = 8;

/** What not every runtime has, nor every set of types. */
type Memory = ArrayBuffer & { transfer?(): ArrayBuffer };

/** A buffer that is handed out bit by bit. */
export class Pool {
  private memory: Memory = new ArrayBuffer(0);
  /** All of it; no bytes where somebody has taken it away. */
  private bytes: Bytes = new Uint8Array(this.memory);
  private used = 0;
  private isLeft = false;

  /** So many bytes, with anything in them. */
  take(length: number): Bytes {
    const start = this.used;
    // With one byte to spare, so that what was taken away has no room for nothing either.
    if (start + length >= this.bytes.length) return this.renew(length);
    this.used = (start + length + alignment - 1) & -alignment;
    return new Uint8Array(this.memory, start, length);
  }

  /** Lets go of the memory, with what was taken of it, once it is used up. */
  leave(): void {
    this.isLeft = true;
  }

  private renew(length: number): Bytes {
    if (length >= poolBytes) return new Uint8Array(length);
    const isFree = !this.isLeft && this.bytes.length > 0 && this.memory.transfer !== undefined;
    this.memory = isFree ? this.memory.transfer!() : new ArrayBuffer(poolBytes);
    this.bytes = new Uint8Array(this.memory);
    this.used = 0;
    this.isLeft = false;
    return this.take(length);
  }
}
