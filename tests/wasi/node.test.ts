// ferrite.wasm in Node's WASI, with the engine's transcripts replayed against it.

import { readFileSync, readdirSync } from "node:fs";
import { WASI } from "node:wasi";
import { describe, expect, it } from "vitest";
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

  constructor(budget = 64 << 20, private readonly size = bufferBytes, policy = "noeviction") {
    const wasi = new WASI({ version: "preview1" });
    const instance = new WebAssembly.Instance(wasm, wasi.getImportObject() as never);
    wasi.initialize(instance);
    this.exports = instance.exports as never;
    this.memory = instance.exports.memory as WebAssembly.Memory;
    this.buffer = this.call("ferrite_alloc", size);
    this.write(Buffer.from(policy));
    expect(this.call("ferrite_open", BigInt(budget), this.buffer, policy.length, 1n)).toBe(0);
  }

  call(name: string, ...parameters: (number | bigint)[]): number {
    return this.exports[name]!(...parameters);
  }

  /** Bytes of linear memory beside the buffer. */
  get memoryBytes(): number {
    return this.memory.buffer.byteLength - this.size;
  }

  run(words: (Uint8Array | string)[], now: number): number {
    const request = Buffer.concat([
      Buffer.from(`*${words.length}\r\n`),
      ...words.flatMap((word) => [Buffer.from(`$${word.length}\r\n`), Buffer.from(word),
        Buffer.from("\r\n")]),
    ]);
    this.write(request);
    return this.call("ferrite_call", BigInt(now), this.buffer, request.length);
  }

  ask(words: Uint8Array[], now: number): Answer {
    const length = this.run(words, now);
    expect(length).toBeGreaterThan(0);
    const at = this.call("ferrite_result");
    return new Reader(Buffer.from(this.memory.buffer, at, length)).answer();
  }

  private write(bytes: Uint8Array): void {
    expect(bytes.length).toBeLessThanOrEqual(this.size);
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

/** Ways to fill a cache with items of one size; each answers with little. */
const ways: Record<string, (number: number, item: string) => string[]> = {
  SET: (number, item) => ["SET", `k${number}`, item],
  MSET: (number, item) => ["MSET", `a${number}`, item, `b${number}`, "b", `c${number}`, "c"],
  APPEND: (number, item) => ["APPEND", `a${number >> 2}`, item],
  SETRANGE: (number, item) => ["SETRANGE", `r${number >> 1}`, `${number % 7 * 100}`, item],
  HSET: (number, item) => ["HSET", `h${number >> 3}`, `f${number}`, item],
  RPUSH: (number, item) => ["RPUSH", `l${number >> 3}`, item],
  SADD: (number, item) => ["SADD", `s${number >> 3}`, item + number],
  GET: (number) => ["GET", `k${number}`],
};

describe.each([3, 9])("a budget of %i MiB is kept", (mebibytes) => {
  const budget = mebibytes << 20;
  const most = budget + Math.max(budget * 0.02, 512 << 10);
  function fill(host: Host, name: string, size: number): void {
    const item = "x".repeat(size);
    for (let number = 0, sum = 0; sum < 2.2 * budget && number < 30_000; number++, sum += size) {
      host.run(ways[name]!(number, item), startMs);
    }
    expect(host.memoryBytes, `${name} of ${size} bytes`).toBeLessThanOrEqual(most);
  }

  it.each(Object.keys(ways))("from empty on, by %s", (name) => {
    for (const size of [100, 3000, 50_000, budget / 9 | 0]) {
      fill(new Host(budget, 2 << 20, "allkeys-lru"), name, size);
    }
  });

  it("whatever came before", () => {
    const host = new Host(budget, 2 << 20, "allkeys-lru");
    for (const size of [50_000, 100, budget / 9 | 0, 1000, 100]) {
      for (const name of Object.keys(ways)) fill(host, name, size);
    }
    // What it answers stands beside: the largest reply is paid for once, however it grew.
    const item = "x".repeat(10_000);
    let largest = 0;
    for (let round = 0; round < 5; round++) {
      for (let number = 0; number < 100; number++) host.run(["RPUSH", "list", item], startMs);
      for (let times = 0; times < 20; times++) {
        largest = Math.max(largest, host.run(["LRANGE", "list", "0", "-1"], startMs));
      }
      for (const name of Object.keys(ways)) {
        for (let number = 0; number < 500; number++) host.run(ways[name]!(number, item), startMs);
      }
    }
    expect(largest).toBeGreaterThan(900_000);
    expect(host.memoryBytes).toBeLessThanOrEqual(most + 4 * largest);
  });
});

it("asks nothing of its host, and refuses a pointer that it did not hand out", () => {
  expect(WebAssembly.Module.imports(wasm)).toEqual([]);
  const host = new Host();
  for (const pointer of [0, 8, 0xffff_ffff, -1]) {
    expect(host.call("ferrite_get", BigInt(startMs), pointer, 1)).toBe(-3);
  }
});
