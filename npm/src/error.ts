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
