// The cache of @ferrite/edge: what every cache has, and all families of commands besides.
// Not here: any method. The families are in commands/, a file each.

import { SetCommands } from "./commands/sets.js";
import { Families } from "./face.js";

/** A cache in the memory of this isolate or process. */
export class FerriteCache extends SetCommands {
  /** @internal */
  static override readonly families: Families = Families.all;
}
