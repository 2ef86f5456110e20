// ferrite.wasm in Node's WASI, with the engine's transcripts replayed against it.

import { readFileSync, readdirSync } from "node:fs";
import { WASI } from "node:wasi";
import { expect, it } from "vitest";
import { accepts, parse, show, type Answer } from "../../npm/test/transcript.js";

const path = (name: string) => new URL(name, import.meta.url);
const wasm = await WebAssembly.compile(readFileSync(path("../../target/wasi/ferrite.wasm")));
const startMs = 1_700_000_000_000;
const bufferBytes = 40 << 20;

type Call = (...parameters: (number | bigint)[]) => number;

class Host {
  private readonly exports: Record<string, Call>;
  private readonly memory: WebAssembly.Memory;
  private readonly buffer: number;

  constructor() {
    const wasi = new WASI({ version: "preview1" });
    const instance = new WebAssembly.Instance(wasm, wasi.getImportObject() as never);
    wasi.initialize(instance);
    this.exports = instance.exports as never;
    this.memory = instance.exports.memory as WebAssembly.Memory;
    this.buffer = this.call("ferrite_alloc", bufferBytes);
    const policy = new TextEncoder().encode("noeviction");
    this.write(policy);
    expect(this.call("ferrite_open", BigInt(64 << 20), this.buffer, policy.length, 1n)).toBe(0);
  }

  call(name: string, ...parameters: (number | bigint)[]): number {
    return this.exports[name]!(...parameters);
  }

  ask(words: Uint8Array[], now: number): Answer {
    const request = Buffer.concat([
      Buffer.from(`*${words.length}\r\n`),
      ...words.flatMap((word) => [Buffer.from(`$${word.length}\r\n`), word, Buffer.from("\r\n")]),
    ]);
    this.write(request);
    const length = this.call("ferrite_call", BigInt(now), this.buffer, request.length);
    expect(length).toBeGreaterThan(0);
    const at = this.call("ferrite_result");
    return new Reader(Buffer.from(this.memory.buffer, at, length)).answer();
  }

  private write(bytes: Uint8Array): void {
    expect(bytes.length).toBeLessThanOrEqual(bufferBytes);
    new Uint8Array(this.memory.buffer).set(bytes, this.buffer);
  }
}

/** Replies in RESP2. */
class Reader {
  private at = 0;
  constructor(private readonly bytes: Buffer) {}

  answer(): Answer {
    const end = this.bytes.indexOf("\r\n", this.at);
    const [tag, line] = [String.fromCharCode(this.bytes[this.at]!),
      this.bytes.toString("utf8", this.at + 1, end)];
    this.at = end + 2;
    switch (tag) {
      case "+": return { kind: "simple", text: line };
      case "-": return { kind: "error", text: line };
      case ":": return { kind: "integer", number: BigInt(line) };
      case "*": {
        const items: Answer[] = [];
        for (let left = Number(line); left > 0; left--) items.push(this.answer());
        return { kind: "array", items };
      }
      case "$": {
        if (line === "-1") return { kind: "null" };
        const bytes = Uint8Array.from(this.bytes.subarray(this.at, this.at + Number(line)));
        this.at += Number(line) + 2;
        return { kind: "bulk", bytes };
      }
      default: throw new Error(`no reply begins with ${tag}`);
    }
  }
}

const folder = path("../vectors/");
const files = readdirSync(folder).filter((name) => name.endsWith(".txt"));

/** OBJECT HELP is documentation, of which the file has none. */
const isDocumentation = (words: Uint8Array[]) =>
  /^object help\b/i.test(words.map((word) => Buffer.from(word).toString()).join(" "));

it.each(files)("%s", (file) => {
  const host = new Host();
  let now = startMs;
  const failures: string[] = [];
  for (const step of parse(readFileSync(new URL(file, folder), "utf8"))) {
    if (step.kind === "advance") {
      now += step.milliseconds;
      continue;
    }
    const given = host.ask(step.words, now);
    if (!accepts(step.expected, given) && !isDocumentation(step.words)) {
      failures.push(`${step.line}: expected ${show(step.expected).slice(0, 300)}\n`
        + `    given ${show(given).slice(0, 300)}`);
    }
  }
  expect(failures).toEqual([]);
});

it("asks nothing of its host, and refuses a pointer that it did not hand out", () => {
  expect(WebAssembly.Module.imports(wasm)).toEqual([]);
  const host = new Host();
  for (const pointer of [0, 8, 0xffff_ffff, -1]) {
    expect(host.call("ferrite_get", BigInt(startMs), pointer, 1)).toBe(-3);
  }
});
