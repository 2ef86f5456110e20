// The transcripts that redis-server itself is held to, replayed on the package.

import { describe, expect, it } from "vitest";
import { ask, isLeftOut, replay } from "./replay.js";
import { entries } from "./support.js";
import { accepts, parse, show } from "./transcript.js";

const files = import.meta.glob<string>("../../tests/vectors/*.txt", {
  query: "?raw", import: "default", eager: true,
});
const all = Object.entries(files);

describe.each(entries)("transcripts on $entry", ({ isLite, init }) => {
  const played = all.filter(([path]) => !isLeftOut(path, isLite));
  it("are found", () => {
    expect(played.length).toBeGreaterThanOrEqual(isLite ? 12 : 25);
  });

  it.each(played)("%s", async (_, text) => {
    const { replayed, failures } = await replay(init, text);
    expect(failures).toEqual([]);
    expect(replayed).toBe(text.split("\n").filter((line) => line.startsWith("> ")).length);
  });

  const others = all.filter(([path]) => isLeftOut(path, isLite));
  it.each(others)("%s is about more than there is", async (_, text) => {
    const cache = await init();
    const requests = parse(text).flatMap((step) => step.kind === "request" ? [step.words] : []);
    expect(requests.map((words) => show(ask(cache, words))))
      .toContainEqual(expect.stringMatching(/^-ERR unknown command/));
  });
});

describe("the reader of transcripts", () => {
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
