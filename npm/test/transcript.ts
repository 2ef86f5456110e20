// Transcripts: the notation of tests/vectors/README.md, read and compared.
// Invariant: a line that the notation does not know is an error, never passed over.

/** A reply, as a transcript writes it or the cache gave it. */
export type Answer =
  | { kind: "simple" | "error"; text: string }
  | { kind: "integer"; number: bigint }
  | { kind: "bulk"; bytes: Uint8Array }
  | { kind: "null" }
  | { kind: "array" | "unordered" | "one of"; items: Answer[] }
  | { kind: "several"; count: number; items: Answer[] };

export type Step =
  | { kind: "advance"; milliseconds: number }
  | { kind: "request"; line: number; words: Uint8Array[]; expected: Answer };

const encoder = new TextEncoder();

export function parse(text: string): Step[] {
  const steps: Step[] = [];
  const lines = text.split("\n");
  for (let index = 0; index < lines.length; index++) {
    const content = lines[index]!;
    const [mark, rest] = [content.slice(0, 2), content.slice(2)];
    if (mark === "" || mark === "#" || mark === "# " || mark === "@ ") continue;
    if (mark === "~ ") {
      const found = /^([1-9]\d*)ms$/.exec(rest);
      if (!found) throw new Error(`${index + 1}: not a time: ${rest}`);
      steps.push({ kind: "advance", milliseconds: Number(found[1]) });
    } else if (mark === "> ") {
      const reply = lines[index + 1] ?? "";
      if (!reply.startsWith("< ")) throw new Error(`${index + 1}: no reply on the next line`);
      const expected = parseAnswer(reply.slice(2));
      steps.push({ kind: "request", line: index + 1, words: parseWords(rest), expected });
      index++;
    } else {
      throw new Error(`${index + 1}: what is ${content}?`);
    }
  }
  return steps;
}

function parseWords(text: string): Uint8Array[] {
  const cursor = new Cursor(text);
  const words: Uint8Array[] = [];
  do {
    const run = cursor.range();
    if (run) words.push(...run);
    else words.push(cursor.eat('"') ? cursor.quoted() : encoder.encode(cursor.until(" ")));
  } while (cursor.eat(" "));
  cursor.end();
  return words;
}

function parseAnswer(text: string): Answer {
  const cursor = new Cursor(text);
  let answer = cursor.choice();
  if (!answer && text.startsWith("+")) return { kind: "simple", text: text.slice(1) };
  if (!answer && text.startsWith("-")) return { kind: "error", text: text.slice(1) };
  answer ??= cursor.item();
  cursor.end();
  return answer;
}

class Cursor {
  private at = 0;
  constructor(private readonly text: string) {}

  eat(prefix: string): boolean {
    const found = this.text.startsWith(prefix, this.at);
    if (found) this.at += prefix.length;
    return found;
  }

  end(): void {
    if (this.at < this.text.length) throw new Error(`more: ${this.text.slice(this.at)}`);
  }

  until(end: string): string {
    const found = this.text.indexOf(end, this.at);
    const from = this.at;
    this.at = found < 0 ? this.text.length : found;
    return this.text.slice(from, this.at);
  }

  /** `name(1..9)`, up or down: every number from the first to the last, behind the name. */
  range(): Uint8Array[] | null {
    const found = /^([^("[\]{} ]*)\((\d+)\.\.(\d+)\)/.exec(this.text.slice(this.at));
    if (!found) return null;
    this.at += found[0].length;
    const [first, last] = [Number(found[2]), Number(found[3])];
    const step = first <= last ? 1 : -1;
    return Array.from({ length: Math.abs(last - first) + 1 },
      (_, index) => encoder.encode(`${found[1]}${first + step * index}`));
  }

  /** `one of {...}` or `5 of {...}`, if that is what stands here. */
  choice(): Answer | null {
    const found = /^(one|-?\d+) of \{/.exec(this.text.slice(this.at));
    if (!found) return null;
    this.at += found[0].length;
    const items = this.items("}");
    if (found[1] === "one") return { kind: "one of", items };
    return { kind: "several", count: Number(found[1]), items };
  }

  item(): Answer {
    if (this.eat("(nil)")) return { kind: "null" };
    if (this.eat('"')) return { kind: "bulk", bytes: this.quoted() };
    if (this.eat('+"')) return { kind: "simple", text: new TextDecoder().decode(this.quoted()) };
    if (this.eat("[")) return { kind: "array", items: this.items("]") };
    if (this.eat("{")) return { kind: "unordered", items: this.items("}") };
    const number = /^:(-?\d+)/.exec(this.text.slice(this.at));
    if (!number) throw new Error(`no reply: ${this.text.slice(this.at)}`);
    this.at += number[0].length;
    return { kind: "integer", number: BigInt(number[1]!) };
  }

  private items(close: string): Answer[] {
    const items: Answer[] = [];
    while (!this.eat(close)) {
      if (items.length > 0 && !this.eat(" ")) throw new Error("one space between items");
      const run = this.range();
      if (run) items.push(...run.map((bytes): Answer => ({ kind: "bulk", bytes })));
      else items.push(this.item());
    }
    return items;
  }

  /** What follows an opening quote, up to and with the closing one. */
  quoted(): Uint8Array {
    const bytes: number[] = [];
    const plain: Record<string, number> = { n: 10, r: 13, t: 9, "\\": 92, '"': 34 };
    for (;;) {
      const next = this.text[this.at++];
      if (next === undefined) throw new Error("the line ends too early");
      if (next === '"') return Uint8Array.from(bytes);
      if (next !== "\\") {
        bytes.push(...encoder.encode(next));
        continue;
      }
      const escape = this.text[this.at++] ?? "";
      const rest = this.text.slice(this.at);
      const hex = /^[0-9a-fA-F]{2}/.exec(rest);
      const repeat = /^(.)\*(\d+)\}/s.exec(rest);
      if (escape in plain) {
        bytes.push(plain[escape]!);
      } else if (escape === "x" && hex) {
        bytes.push(parseInt(hex[0], 16));
        this.at += 2;
      } else if (escape === "{" && repeat) {
        const code = repeat[1]!.charCodeAt(0);
        for (let count = Number(repeat[2]); count > 0; count--) bytes.push(code);
        this.at += repeat[0].length;
      } else {
        throw new Error(`unknown escape: \\${escape}`);
      }
    }
  }
}

/** One text for each answer; what has no order is sorted. */
export function show(answer: Answer, isUnordered = false): string {
  switch (answer.kind) {
    case "simple": return `+${answer.text}`;
    case "error": return `-${answer.text}`;
    case "integer": return `:${answer.number}`;
    case "null": return "(nil)";
    case "bulk": return `"${Array.from(answer.bytes, (byte) => byte > 31 && byte < 127
      && byte !== 34 && byte !== 92 ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`).join("")}"`;
    case "array": case "unordered": case "one of": case "several": {
      const items = answer.items.map((item) => show(item));
      return isUnordered || answer.kind === "unordered"
        ? `{${items.sort().join(" ")}}` : `[${items.join(" ")}]`;
    }
  }
}

/** Whether `given` is what was expected; an unordered array is equal to its items in any order. */
export function accepts(expected: Answer, given: Answer): boolean {
  if (expected.kind === "unordered") {
    return given.kind === "array" && show(expected) === show(given, true);
  }
  if (expected.kind === "one of") {
    return expected.items.some((item) => show(item) === show(given));
  }
  if (expected.kind === "several") {
    return given.kind === "array" && given.items.length === Math.abs(expected.count)
      && areOf(given.items, expected.items, expected.count < 0);
  }
  if (expected.kind !== "array") return show(expected) === show(given);
  return given.kind === "array" && given.items.length === expected.items.length
    && expected.items.every((item, index) => accepts(item, given.items[index]!));
}

/** Whether all items come from the pool, each as often as there unless they may repeat. */
function areOf(items: Answer[], pool: Answer[], mayRepeat: boolean): boolean {
  const left = pool.map((item) => show(item));
  return items.every((item) => {
    const position = left.indexOf(show(item));
    if (position >= 0 && !mayRepeat) left.splice(position, 1);
    return position >= 0;
  });
}
