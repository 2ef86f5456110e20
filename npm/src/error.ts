/** Everything that Ferrite throws. The message is the line that Redis sends, where it has one. */
export class FerriteError extends Error {
  override readonly name = "FerriteError";
  /** The first word of the message: ERR, WRONGTYPE, OOM, RESET and so on. */
  readonly code: string;

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = message.split(" ", 1)[0]!;
  }
}

/** What a caller's object says when it is read: its getters and proxies may throw anything. */
export function reading<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof FerriteError) throw cause;
    throw new FerriteError("ERR an argument cannot be read", { cause });
  }
}

/** What a value is, as the language calls it: Null, Number, Promise and so on. */
export function kindOf(value: unknown): string {
  return reading(() => tagOf(value).slice(8, -1));
}

function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value);
}

/** Whether these may be options. In other objects (a Promise, a Map) none would be found. */
export function isPlain(value: unknown): boolean {
  return tagOf(value) === "[object Object]";
}

/** That something is of another kind than it must be. */
export function wrongKind(what: string, wanted: string, given: unknown): FerriteError {
  return new FerriteError(`ERR ${what} must be ${wanted}, not ${kindOf(given)}`);
}
