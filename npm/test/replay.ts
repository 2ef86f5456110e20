// Plays a transcript to the package, in any runtime: no file system, no test runner.
// Invariant: what differs from the transcript is told, line by line; nothing is passed over.

import {
  FerriteError, type FerriteCache, type InitFerrite, type LiteCache, type LiteOptions, type Reply,
} from "@ferrite/edge";
import { accepts, parse, show, type Answer } from "./transcript.js";

/** How the names of files start that are about commands which the edge builds leave out. */
const leftOut = [
  "bit", "dump", "geo", "hyperloglog", "lcs", "sort", "stream", "types_zset", "zset",
];
/** And those that the lite build leaves out besides. */
const leftOutOfLite = [
  "append", "copy", "float", "hash", "list", "object", "range", "set", "string_types", "types",
];

/** Whether a transcript, named by its file, is about more than there is at the edge. */
export function isLeftOut(path: string, isLite = false): boolean {
  const words = isLite ? [...leftOut, ...leftOutOfLite] : leftOut;
  return words.some((word) => path.split("/").pop()!.startsWith(word));
}

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

/** The answer to one request. */
export function ask(cache: LiteCache, [name, ...values]: Uint8Array[]): Answer {
  try {
    const command = decoder.decode(name);
    const [key, value] = values;
    // Many transcripts append to what they look at; what that does is told in another.
    if (!("append" in cache) && /^append$/i.test(command) && values.length === 2) {
      return answerOf(appendInLite(cache, key!, value!));
    }
    if (values.some((value) => value.length > callBytesMax)) {
      return answerOf(askLarge(cache, command, values));
    }
    return answerOf(cache.callBytes(command, ...values));
  } catch (error) {
    if (!(error instanceof FerriteError)) throw error;
    return { kind: "error", text: error.message };
  }
}

/** APPEND by what the lite entry has. */
function appendInLite(cache: LiteCache, key: Uint8Array, value: Uint8Array): number {
  const old = cache.getBytes(key) ?? new Uint8Array();
  const all = new Uint8Array(old.length + value.length);
  all.set(old);
  all.set(value, old.length);
  cache.set(key, all, { keepTtl: true });
  return all.length;
}

/** With a value too large for `call`: SET by its method, which has no limit, APPEND in parts. */
function askLarge(
  cache: LiteCache, command: string, [key, value, ...options]: Uint8Array[],
): string | number | null {
  if (command === "APPEND" && options.length === 0) {
    let length = 0;
    for (let start = 0; start < value!.length; start += callBytesMax) {
      length = (cache as FerriteCache).append(key!, value!.subarray(start, start + callBytesMax));
    }
    return length;
  }
  if (command !== "SET") throw new Error(`${command} takes no value as large as this`);
  if (options.length === 0) return cache.set(key!, value!);
  const [word, milliseconds, ...more] = options.map((option) => decoder.decode(option));
  if (word !== "PX" || more.length > 0) throw new Error(`SET with ${options.length} options`);
  return cache.set(key!, value!, { px: Number(milliseconds) });
}

/** What is expected here: OBJECT HELP is documentation, and the edge build has none. */
function expectedHere(words: Uint8Array[], expected: Answer): Answer {
  const [name, subcommand] = words.slice(0, 2).map((word) => new TextDecoder().decode(word));
  if (!/^object help$/i.test(`${name} ${subcommand}`)) return expected;
  return { kind: "error", text: `ERR unknown subcommand '${subcommand}'. Try OBJECT HELP.` };
}

/** Plays all of a transcript to a new cache: how many requests, and what was not as expected. */
export async function replay(
  initFerrite: InitFerrite<LiteCache, LiteOptions>, text: string,
): Promise<{ replayed: number; failures: string[] }> {
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
  const resets = cache.stats().instance_resets;
  if (resets !== 0) failures.push(`the engine was started anew ${resets} times`);
  return { replayed, failures };
}
