// The tiers in Viceroy, Fastly's local runtime, in front of an origin that counts: with a sandbox
// for each request, and with sandboxes that serve one request after the other.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startOrigin, startViceroy, until } from "./viceroy.js";

let origin;
let edge;

/** The value of a key through the tiers. */
const get = (key, { ttl = 60_000, tag = "" } = {}) =>
  edge.get(`/get?key=${key}&ttl_ms=${ttl}&tag=${encodeURIComponent(tag)}`);

function use(program) {
  beforeAll(async () => {
    origin = await startOrigin();
    edge = await startViceroy(program, { origin: origin.url });
  });
  afterAll(async () => {
    await edge?.stop();
    await origin?.stop();
  });
}

/** What holds however many requests a sandbox serves. */
function inEitherMode() {
  it("asks the origin once for 8 equal requests", async () => {
    const answers = [];
    for (let i = 0; i < 8; i++) answers.push(await get("once"));
    expect(answers.map(({ text }) => text)).toEqual(Array(8).fill("the page /once"));
    expect(answers.map(({ refusal }) => refusal)).toEqual(Array(8).fill(""));
    expect(answers[0].cache).toBe("MISS");
    expect(answers.slice(1).map(({ cache }) => cache)).not.toContain("MISS");
    expect(origin.count("/once")).toBe(1);
  });

  it("asks again after a purge", async () => {
    origin.pages["/purged"] = (count) => `version ${count}`;
    expect(await get("purged")).toMatchObject({ cache: "MISS", text: "version 1" });
    expect((await get("purged")).cache).toMatch(/^HIT/);
    expect((await edge.get("/purge?key=purged")).status).toBe(200);
    expect(await get("purged")).toMatchObject({ cache: "MISS", text: "version 2" });
    expect((await get("purged")).text).toBe("version 2");
  });

  it("asks again after the purge of a surrogate key, for all entries that have it", async () => {
    for (const key of ["t1", "t2"]) await get(key, { tag: "shop,products" });
    await get("t3", { tag: "shop" });
    expect((await edge.get("/purge-tag?tag=products")).status).toBe(200);
    const again = [];
    for (const key of ["t1", "t2", "t3"]) again.push((await get(key)).cache);
    expect(again).toEqual(["MISS", "MISS", "HIT-POP"]);
  });

  it("asks again after the time to live, and not before", async () => {
    const [start, ttl] = [performance.now(), 1500];
    expect((await get("short", { ttl })).cache).toBe("MISS");
    await until(async () => (await get("short", { ttl })).cache === "MISS");
    expect(performance.now() - start).toBeGreaterThan(ttl - 100);
    expect(origin.count("/short")).toBe(2);
  });

  it("lets 20 parallel requests for a cold key wait for one", async () => {
    origin.pages["/slow"] = () => new Promise((done) => { setTimeout(done, 500, "slow page"); });
    const answers = await Promise.all(Array.from({ length: 20 }, () => get("slow")));
    expect(answers.map(({ text }) => text)).toEqual(Array(20).fill("slow page"));
    expect(origin.count("/slow")).toBeLessThanOrEqual(2);
  });

  it("keeps nothing of an origin that fails, and lets one of those that wait try", async () => {
    origin.pages["/failing"] = (count) => new Promise((done) => {
      setTimeout(done, 200, count === 1 ? 503 : "recovered");
    });
    const answers = await Promise.all(Array.from({ length: 5 }, () => get("failing")));
    const failed = answers.filter(({ status }) => status === 500);
    expect(failed.map(({ text }) => text)).toEqual(["the origin said 503"]);
    const good = answers.filter(({ status }) => status === 200);
    expect(good.map(({ text }) => text)).toEqual(Array(4).fill("recovered"));
    expect(origin.count("/failing")).toBe(2);
  });

  it("hands a value on that is too long to be kept, and says so", async () => {
    const page = "0123456789".repeat(200_000);
    origin.pages["/long"] = page;
    for (let i = 1; i <= 2; i++) {
      const answer = await get("long");
      expect(answer).toMatchObject({ status: 200, cache: "MISS", refusal: expect.stringMatching(/too long/) });
      expect(answer.text === page).toBe(true);
      expect(origin.count("/long")).toBe(i);
    }
  });

  it("serves what the POP refuses, and says why", async () => {
    expect(await edge.get("/long-key?key=unkeepable"))
      .toMatchObject({ cache: "MISS", refusal: expect.stringMatching(/4096 bytes/), text: "the page /unkeepable" });
    for (const tag of ["two words", "x".repeat(1025), "caf\u00e9"]) {
      expect(await get(`tag${tag.length}`, { tag }))
        .toMatchObject({ cache: "MISS", refusal: expect.stringMatching(/surrogate key/) });
    }
    expect((await edge.get("/purge-tag?tag=two%20words")).status).toBe(500);
  });

  it("takes no entry for whole whose writer broke off, and says so", async () => {
    expect((await edge.get("/break?key=broken")).status).toBe(200);
    for (let i = 0; i < 2; i++) expect((await get("broken")).text).toBe("the page /broken");
    expect((await edge.get("/break?key=broken2")).status).toBe(200);
    expect(await get("broken2"))
      .toMatchObject({ cache: "MISS", refusal: expect.stringMatching(/./), text: "the page /broken2" });
  });

  it("goes on after a handler has panicked", async () => {
    await get("panicked");
    expect((await edge.get("/panic")).status).toBe(500);
    expect(await get("panicked")).toMatchObject({ status: 200, text: "the page /panicked" });
    expect(origin.count("/panicked")).toBe(1);
  });

  it("has the commands of Redis in sandbox memory", async () => {
    expect((await edge.get("/commands")).text)
      .toMatch(/^\[Some\(\[49\]\), None\] \[\[121\], \[122\]\] true 60 Err\("WRONGTYPE"\)$/);
  });
}

describe("a sandbox for each request", () => {
  use("probe-per-request");
  inEitherMode();

  it("has nothing but the POP to remember by", async () => {
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push((await get("far")).cache);
    expect(answers).toEqual(["MISS", "HIT-POP", "HIT-POP", "HIT-POP"]);
    for (let i = 0; i < 3; i++) expect((await edge.get("/visit")).text).toBe("1");
  });
});

describe("a sandbox for many requests", () => {
  use("probe-reusable");
  inEitherMode();

  it("answers from its own memory, for as long as it may", async () => {
    // The sandbox of the test before may be at its end: the next one has to go to the POP once.
    await get("near");
    await until(async () => (await get("near")).cache === "HIT-L1");
    // Its age is capped: without anything having changed, the POP is asked again.
    await until(async () => (await get("near")).cache === "HIT-POP");
    expect(origin.count("/near")).toBe(1);
  });

  it("remembers from one request to the next, and forgets when the sandbox dies", async () => {
    await until(async () => Number((await edge.get("/visit")).text) > 1);
    expect((await edge.get("/panic")).status).toBe(500);
    expect((await edge.get("/visit")).text).toBe("1");
  });

  it("sees a purge that another sandbox has done", async () => {
    let release;
    const held = new Promise((done) => { release = done; });
    origin.pages["/held"] = () => held.then(() => "held page");
    await until(async () => (await get("elsewhere")).cache === "HIT-L1");
    const waiting = get("held");
    await until(() => origin.count("/held") === 1);
    expect((await edge.get("/purge?key=elsewhere")).status).toBe(200);
    release();
    expect((await waiting).text).toBe("held page");
    await until(async () => (await get("elsewhere")).cache === "MISS", 10);
  });
});
