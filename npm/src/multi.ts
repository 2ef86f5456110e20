// Several commands in one crossing: what they look like, and what each of them answers.
// Not here: how they are run, which is the engine's: none unless all can be (instance.ts).

import { FerriteError, reading } from "./error.js";
import type { Reply, Value } from "./types.js";

/** A command with its arguments, as `call` takes them. */
export type Command = readonly [name: string, ...values: Value[]];

/** What commands answer whose answer does not depend on their options. */
interface Answers {
  integer: number;
  text: string | null;
  texts: string[];
  maybeTexts: (string | null)[];
  integers: number[];
  ok: "OK";
}

/** Those commands. */
interface Kinds {
  integer:
    | "append" | "copy" | "dbsize" | "decr" | "decrby" | "del" | "exists" | "expire" | "expireat"
    | "expiretime" | "hdel" | "hexists" | "hincrby" | "hlen" | "hset" | "hsetnx" | "hstrlen"
    | "incr" | "incrby" | "linsert" | "llen" | "lpush" | "lpushx" | "lrem" | "msetnx"
    | "persist" | "pexpire" | "pexpireat" | "pexpiretime" | "pttl" | "renamenx" | "rpush"
    | "rpushx" | "sadd" | "scard" | "sdiffstore" | "setnx" | "setrange" | "sintercard"
    | "sinterstore" | "sismember" | "smove" | "srem" | "strlen" | "sunionstore"
    | "touch" | "ttl" | "unlink";
  text:
    | "get" | "getdel" | "getex" | "getset" | "hget" | "lindex" | "lmove" | "randomkey"
    | "rpoplpush" | "set";
  texts:
    | "hgetall" | "hkeys" | "hvals" | "keys" | "lrange" | "sdiff" | "sinter" | "smembers"
    | "sunion";
  maybeTexts: "hmget" | "mget";
  integers:
    | "hexpire" | "hexpireat" | "hexpiretime" | "hpersist" | "hpexpire" | "hpexpireat"
    | "hpexpiretime" | "hpttl" | "httl" | "smismember";
  ok: "flushdb" | "hmset" | "lset" | "ltrim" | "mset" | "psetex" | "rename" | "setex";
}

type AnswerOf<Name> = {
  [Kind in keyof Kinds]: Name extends Kinds[Kind] ? Answers[Kind] : never;
}[keyof Kinds];

/** What a command answers, as `call` would give it, but with integers as numbers. */
export type ReplyOf<Name> =
  string extends Name ? Reply : [AnswerOf<Name>] extends [never] ? Reply : AnswerOf<Name>;

/** The replies to commands, in their order. One that failed has its error in its place. */
export type Replies<Commands extends readonly Command[]> = {
  -readonly [At in keyof Commands]: ReplyOf<Commands[At][0]> | FerriteError;
};

/** @internal Copies of commands, if that is what they are: to read theirs may run a user's code. */
export function checkedCommands(commands: unknown): readonly Command[] {
  // Array.from sees holes, which other loops pass over.
  const all = reading(() => Array.isArray(commands)
    ? Array.from(commands, (one: unknown) => Array.isArray(one) ? [...one] : []) : [[]]);
  if (all.every(([name]) => typeof name === "string")) return all as unknown as Command[];
  throw new FerriteError("ERR multi takes an array of commands: arrays that begin with a name");
}

/** @internal An answer with its integers as numbers. */
export function inNumbers(answer: Reply | FerriteError): Reply | FerriteError {
  if (typeof answer === "bigint") return Number(answer);
  return Array.isArray(answer) ? answer.map((item) => inNumbers(item) as Reply) : answer;
}
