// The transcripts that redis-server itself is held to, replayed on the package.

import { FerriteError, initFerrite, type FerriteCache, type Reply } from "@ferrite/edge";
import { describe, expect, it } from "vitest";
import { accepts, parse, show, type Answer } from "./transcript.js";

const files = import.meta.glob<string>("../../tests/vectors/*.txt", {
  query: "?raw", import: "default", eager: true,
});

/** How the names of files start that are about commands which the edge build leaves out. */
const leftOut = ["dump", "lcs", "sort", "types_zset", "zset"];
const isLeftOut = ([path]: [string, string]) =>
  leftOut.some((word) => path.split("/").pop()!.startsWith(word));
const all = Object.entries(files);

const startMs = 1_700_000_000_000;
/** What the arguments of one call may take, less a little for the key. */
const callBytesMax = 60_000;
const decoder = new TextDecoder("utf-8", { fatal: true });

function answerOf(reply: Reply<Uint8Array | string>): Answer {
  if (reply === null) return { kind: "null" };
  if (typeof reply === "string") return { kind: "simple", text: reply };
  if (reply instanceof Uint8Array) return { kind: "bulk", bytes: reply };
  if (Array.isArray(reply)) return { kind: "array", items: reply.map(answerOf) };
  return { kind: "integer", number: BigInt(reply) };
}

function ask(cache: FerriteCache, [name, ...values]: Uint8Array[]): Answer {
  try {
    const command = decoder.decode(name);
    if (values.some((value) => value.length > callBytesMax)) {
      return answerOf(askLarge(cache, command, values));
    }
    return answerOf(cache.callBytes(command, ...values));
  } catch (error) {
    if (!(error instanceof FerriteError)) throw error;
    return { kind: "error", text: error.message };
  }
}

/** With a value too large for `call`: SET by its method, which has no limit, APPEND in parts. */
function askLarge(
  cache: FerriteCache, command: string, [key, value, ...options]: Uint8Array[],
): string | number | null {
  if (command === "APPEND" && options.length === 0) {
    let length = 0;
    for (let start = 0; start < value!.length; start += callBytesMax) {
      length = cache.append(key!, value!.subarray(start, start + callBytesMax));
    }
    return length;
  }
  expect(command).toBe("SET");
  if (options.length === 0) return cache.set(key!, value!);
  const [word, milliseconds] = options.map((option) => decoder.decode(option));
  expect([word, options.length]).toEqual(["PX", 2]);
  return cache.set(key!, value!, { px: Number(milliseconds) });
}

/** What is expected here: OBJECT HELP is documentation, and the edge build has none. */
function expectedHere(words: Uint8Array[], expected: Answer): Answer {
  const [name, subcommand] = words.slice(0, 2).map((word) => new TextDecoder().decode(word));
  if (!/^object help$/i.test(`${name} ${subcommand}`)) return expected;
  return { kind: "error", text: `ERR unknown subcommand '${subcommand}'. Try OBJECT HELP.` };
}

describe("transcripts", () => {
  it("are found", () => {
    expect(all.length).toBeGreaterThanOrEqual(10);
  });

  it.each(all.filter((file) => !isLeftOut(file)))("%s", async (_, text) => {
    let now = startMs;
    const cache = await initFerrite({ evictionPolicy: "noeviction", clock: { now: () => now } });
    const failures: string[] = [];
    let replayed = 0;
    for (const step of parse(text)) {
      if (step.kind === "advance") {
        now += step.milliseconds;
        continue;
      }
      const given = ask(cache, step.words);
      const expected = expectedHere(step.words, step.expected);
      replayed++;
      if (!accepts(expected, given)) {
        failures.push(`${step.line}: expected ${show(expected).slice(0, 300)}\n`
          + `    given ${show(given).slice(0, 300)}`);
      }
    }
    expect(failures).toEqual([]);
    expect(replayed).toBe(text.split("\n").filter((line) => line.startsWith("> ")).length);
    expect(cache.stats().instance_resets).toBe(0);
  });

  it.each(all.filter(isLeftOut))("%s is about more than there is at the edge", async (_, text) => {
    const cache = await initFerrite();
    const requests = parse(text).flatMap((step) => step.kind === "request" ? [step.words] : []);
    expect(requests.map((words) => show(ask(cache, words))))
      .toContainEqual(expect.stringMatching(/^-ERR unknown command/));
  });

  it("would notice a wrong reply", () => {
    const check = (expected: string, given: string) => {
      const [first] = parse(`> X\n< ${expected}`);
      const [second] = parse(`> X\n< ${given}`);
      if (first?.kind !== "request" || second?.kind !== "request") throw new Error("no request");
      return accepts(first.expected, second.expected);
    };
    expect(check('["a" {"b" "c"}]', '["a" ["c" "b"]]')).toBe(true);
    expect(check('["a" ["b" "c"]]', '["a" ["c" "b"]]')).toBe(false);
    expect(check("{:1 :1}", "[:1]")).toBe(false);
    expect(check('"OK"', "+OK")).toBe(false);
    expect(check("one of {(1..3)}", '"3"')).toBe(true);
    expect(check("one of {(1..3)}", '"4"')).toBe(false);
    expect(check("2 of {(1..3)}", '["3" "3"]')).toBe(false);
    expect(check("-2 of {(1..3)}", '["3" "3"]')).toBe(true);
    expect(check('["m2" "m1" +"OK"]', '[m(2..1) +"OK"]')).toBe(true);
    expect(check("-ERR a", "-ERR a ")).toBe(false);
    expect(check('"\\x00\\{a*3}"', '"\\x00aaa"')).toBe(true);
    expect(() => parse("? X\n< +OK")).toThrow("what is");
  });
});
