// The example and the sample of the guides, as Viceroy runs them.

import { afterEach, expect, it } from "vitest";
import { startOrigin, startViceroy, until } from "./viceroy.js";

let origin;
let edge;

async function start(program, backend, pages) {
  origin = await startOrigin(pages);
  edge = await startViceroy(program, { [backend]: origin.url });
}

afterEach(async () => {
  await edge?.stop();
  await origin?.stop();
});

it("the sample without reusable sandboxes compiles and never hits", async () => {
  await start("sample", "origin_backend");
  const answers = [];
  for (let i = 0; i < 8; i++) answers.push(await edge.get("/page"));
  expect(answers.map(({ cache }) => cache)).toEqual(Array(8).fill("MISS"));
  expect(origin.count("/page")).toBe(8);
});

it("the example keeps pages, and what it may not keep it hands on", async () => {
  await start("ferrite-example-fastly", "origin", { "/gone": 404 });
  expect(await edge.get("/page")).toMatchObject({ cache: "MISS", text: "the page /page" });
  const hit = await until(async () => {
    const answer = await edge.get("/page");
    return answer.cache === "HIT-L1" && answer;
  });
  expect(hit).toMatchObject({ status: 200, text: "the page /page" });
  expect(origin.count("/page")).toBe(1);
  for (let i = 1; i <= 2; i++) {
    expect(await edge.get("/gone")).toMatchObject({ status: 404, cache: "BYPASS" });
    expect(await edge.get("/page", { method: "POST", body: "x" })).toMatchObject({ cache: "BYPASS" });
  }
  expect(origin.count("/gone")).toBe(2);
  expect((await edge.get("/page", { method: "PURGE" })).status).toBe(204);
  expect((await edge.get("/page")).cache).toBe("MISS");
});

it("the example serves what is kept while its origin is down", async () => {
  await start("ferrite-example-fastly", "origin");
  await edge.get("/page");
  await origin.stop();
  expect(await edge.get("/page")).toMatchObject({ status: 200, text: "the page /page" });
  expect((await edge.get("/other")).status).toBe(500);
});
