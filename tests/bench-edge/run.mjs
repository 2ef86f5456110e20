// scripts/bench edge: node run.mjs [--quick] [--json FILE] [--chart FILE]. Measures what cases.mjs
// lists, and prints rows as they come. docs/benchmarks.md says how each figure is taken.
// Invariant: what stands in one row was measured in one run, in turn, and did the same work: sums
// of what was read must agree, and so must hit ratios, or the bench fails.

import { createHash } from "node:crypto";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bundle, unpack } from "./bundle.mjs";
import { candidates, churn, full, memory, requests, storesOf } from "./cases.mjs";
import { drawChart } from "./chart.mjs";
import { startScript, startWorker, versionOf } from "./processes.mjs";
import { addRow, printTitle, rows, saveRows } from "./rows.mjs";
import { orderOf, randomFrom } from "./workloads.mjs";

const { values: given } = parseArgs({ options: {
  quick: { type: "boolean" }, json: { type: "string" }, chart: { type: "string" },
  only: { type: "string" },
} });

const budget = 64 << 20;
/** How much less a quick run does. */
const scale = given.quick ? 0.2 : 1;
const roundsWarm = 2;
const roundsMeasured = given.quick ? 3 : 9;
const operations = 100_000;
const connections = 8;
/** How far hit ratios may lie apart where caches of equal capacity are compared. */
const hitRatioApartMax = 0.02;

const scaled = (number) => Math.ceil(number * scale);
const progress = (text) => process.stderr.write(`-- ${text}\n`);

async function open(runtime, name, plan) {
  const candidate = candidates[name];
  const subject = runtime === "workerd"
    ? await startWorker(await bundle("worker", candidate))
    : await startScript(runtime, await bundle("script", candidate));
  const { held } = await subject.ask({ prepare: { ...plan, ...candidate.plan } });
  return { name, held, ...subject };
}

/** Lets each subject work in turn, round by round; the first rounds are for compilers. */
async function interleave(subjects, work, warm = roundsWarm, measured = roundsMeasured) {
  const figures = new Map(subjects.map(({ name }) => [name, []]));
  for (let round = 0; round < warm + measured; round++) {
    for (let turn = 0; turn < subjects.length; turn++) {
      const subject = subjects[(turn + round) % subjects.length];
      const figure = await subject.cpuTimeOf(() => work(subject, round));
      if (round >= warm) figures.get(subject.name).push(figure);
    }
  }
  return figures;
}

function compare(figures, peers, row, valueOf, name = "ferrite") {
  const ours = figures.get(name).map(valueOf);
  for (const peerName of peers) {
    const theirs = figures.get(peerName).map(valueOf);
    addRow({ ...row, peerName, pairs: ours.map((figure, round) => [figure, theirs[round]]) });
  }
}

async function measureFull({ runtime, size, loops, peers, suffix = "", plan: more, ours = "ferrite" }) {
  const keys = scaled(size.keys);
  const perRound = Math.min(scaled(operations), 4 * keys);
  const plan = { keys, entries: keys, bytes: size.bytes, operations: perRound, fill: true, ...more };
  const subjects = [];
  try {
    for (const name of [ours, ...peers]) subjects.push(await open(runtime, name, plan));
    for (const loop of loops) {
      const figures = await interleave(subjects, (subject) => subject.ask({ run: loop }));
      expectEqual([...figures.values()].map((list) => list.map(({ result }) => result.sum)), loop);
      compare(figures, peers, { name: `${runtime} ${loop} ${size.label}${suffix}`, metric: "cpu_ns" },
        ({ nanoseconds }) => nanoseconds / perRound, ours);
    }
  } finally {
    for (const subject of subjects) await subject.close();
  }
}

async function measureChurn({ runtime, size, budgetBytes, form, peers }) {
  const perRound = scaled(size.bytes > 4096 ? operations / 2 : operations);
  const capacity = Math.floor(budgetBytes * scale / (size.bytes + 40));
  const plan = { keys: 4 * capacity, entries: capacity, budgetBytes: scaled(budgetBytes),
    bytes: size.bytes, operations: perRound, asBytes: form === "bytes" };
  const loop = `churn ${form}`;
  const subjects = [];
  try {
    subjects.push(await open(runtime, "ferrite", plan));
    // Filled by misses, until it holds what it can.
    await subjects[0].ask({ run: "fill" });
    const { held } = await subjects[0].ask({ collect: {} });
    for (const name of peers) subjects.push(await open(runtime, name, { ...plan, entries: held }));
    for (const peer of subjects.slice(1)) await peer.ask({ run: "fill" });
    const figures = await interleave(subjects, (subject) => subject.ask({ run: loop }),
      2 * roundsWarm);
    expectEqual([...figures.values()].map((list) => list.map(({ result }) => result.sum)), loop);
    const hitRatios = [...figures].map(([name, list]) => [name,
      list.reduce((sum, { result }) => sum + result.hits, 0) / (list.length * perRound)]);
    progress(`held ${held}; hit ratios: ${hitRatios.map(([name, ratio]) => (
      `${name} ${ratio.toFixed(3)}`)).join(", ")}`);
    for (const [name, ratio] of hitRatios) {
      if (Math.abs(ratio - hitRatios[0][1]) < hitRatioApartMax) continue;
      throw new Error(`${loop}: the hit ratio of ${name} is too far from Ferrite's`);
    }
    const name = `${runtime} churn ${size.label} ${form}`;
    compare(figures, peers, { name, metric: "cpu_ns" }, ({ nanoseconds }) => nanoseconds / perRound);
    if (figures.get("ferrite")[0].result.gc_ms === undefined) return;
    // Not to be divided by nothing: a hundredth of a millisecond is as good as none.
    compare(figures, peers, { name, metric: "gc_ms", sums: true },
      ({ result }) => Math.max(result.gc_ms, 0.01));
  } finally {
    for (const subject of subjects) await subject.close();
  }
}

async function measureRequests({ label, plan: { keys, ...more }, peers }) {
  const plan = { kind: "body", keys: scaled(keys), budgetBytes: scaled(budget), ...more };
  const perRound = scaled(plan.bytes > 50_000 ? 1500 : 3000);
  const random = randomFrom(1);
  const paths = (order) => Array.from(order, (index) => `/page/${index}`);
  const everything = paths(Array.from({ length: plan.keys }, (_, index) => index));
  const rounds = Array.from({ length: roundsWarm + roundsMeasured }, (_, round) => paths(plan.misses
    ? Array.from({ length: perRound }, (_, request) => plan.keys + round * perRound + request)
    : orderOf({ keys: plan.keys, operations: perRound, skew: plan.skew }, random)));
  const subjects = [];
  try {
    for (const name of ["ferrite", ...peers]) {
      const subject = await startWorker(await bundle("worker", storesOf[name]));
      subjects.push({ name, ...subject });
      await subject.ask({ pages: plan });
      await drive(subject, everything);
    }
    await expectSamePages(subjects, everything);
    for (const subject of subjects) await subject.ask({ misses: {} });
    const figures = await interleave(subjects, async (subject, round) => {
      const bytes = await drive(subject, rounds[round]);
      return { bytes, ...(await subject.ask({ misses: {} })) };
    });
    const results = [...figures].map(([name, list]) => [name, list.map(({ result }) => result)]);
    expectEqual(results.map(([, list]) => list.map(({ bytes }) => bytes)), label);
    const misses = results.map(([name, list]) => [name,
      list.reduce((sum, result) => sum + result.misses, 0) / (list.length * perRound)]);
    if (plan.mixed) progress(`miss ratios: ${misses.map(([name, share]) => (
      `${name} ${share.toFixed(3)}`)).join(", ")}`);
    else if (misses.some(([, share]) => share !== (plan.misses ? 1 : 0))) {
      throw new Error(`${label}: not all were ${plan.misses ? "misses" : "hits"}`);
    }
    const name = `workerd request ${label}`;
    compare(figures, peers, { name, metric: "cpu_ns" }, ({ nanoseconds }) => nanoseconds / perRound);
    const resident = new Map(subjects.map((subject) => [subject.name, [subject.residentBytes()]]));
    compare(resident, peers, { name, metric: "rss_bytes" }, (bytes) => bytes);
  } finally {
    for (const subject of subjects) await subject.close();
  }
}

/** Asks for all of the paths over some connections that are kept. How many bytes came back. */
async function drive(subject, paths) {
  let next = 0;
  let bytes = 0;
  const one = async () => {
    while (next < paths.length) {
      const path = paths[next++];
      const { status, body } = await subject.fetch(path);
      if (status !== 200 && status !== 404) throw new Error(`${path}: ${status} ${body}`);
      bytes += body.length;
    }
  };
  await Promise.all(Array.from({ length: connections }, one));
  return bytes;
}

async function expectSamePages(subjects, paths) {
  for (const path of paths.slice(0, 32)) {
    const seen = await Promise.all(subjects.map(async (subject) => {
      const { status, headers, body } = await subject.fetch(path);
      const kept = ["content-type", "content-language", "cache-control", "last-modified", "etag"];
      const lines = [status, ...kept.map((name) => headers[name])];
      return `${lines.join("|")} ${createHash("sha256").update(body).digest("hex")}`;
    }));
    if (new Set(seen).size > 1) throw new Error(`${path} is not the same for all:\n${seen.join("\n")}`);
  }
}

async function measureMemory({ loop, name, peers, keys, plan: more, ours = "ferrite" }) {
  const names = ["nothing", ours, ...peers];
  const figures = new Map(names.map((candidate) => [candidate, []]));
  for (let round = 0; round < (given.quick ? 1 : 3); round++) {
    const without = {};
    for (const candidate of names) {
      const subject = await open("node", candidate, { operations: 0, bytes: 100,
        keys: scaled(keys), entries: keys, budgetBytes: scaled(budget), ...more });
      await subject.ask({ run: loop });
      const peak = subject.peakBytes();
      const { held } = await subject.ask({ collect: {} });
      const resident = subject.residentBytes();
      if (candidate === "nothing") Object.assign(without, { peak, resident });
      figures.get(candidate).push({
        held, peak: peak - without.peak, growth: resident - without.resident,
      });
      await subject.close();
    }
  }
  if (loop === "fill") {
    compare(figures, peers, { name, metric: "entries", moreIsBetter: true },
      ({ held, growth }) => held * budget / growth, ours);
  }
  compare(figures, peers, { name, metric: "growth_bytes" }, ({ growth }) => growth, ours);
  compare(figures, peers, { name, metric: "peak_bytes" }, ({ peak }) => peak, ours);
}

async function measureCold() {
  const peers = ["lru-cache"];
  const rounds = given.quick ? 3 : 15;
  const inNode = (kind) => async (name) => {
    const path = await bundle(kind, candidates[name]);
    const script = fileURLToPath(new URL("cold.mjs", import.meta.url));
    const { status, stdout, stderr } = spawnSync("node", [script, path], { encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout);
  };
  const cases = {
    "node cold start": inNode("cold"),
    "node cold start bundled": inNode("cold-bundled"),
    "workerd cold start": async (name) => {
      const path = await bundle("worker", candidates[name]);
      const start = performance.now();
      const subject = await startWorker(path);
      const { value } = await subject.ask({ first: {} });
      const milliseconds = performance.now() - start;
      const cpuMilliseconds = subject.cpuNanoseconds() / 1e6;
      await subject.close();
      if (value !== "a value") throw new Error(`workerd: no hit in ${name}`);
      return { milliseconds, cpuMilliseconds };
    },
  };
  for (const [name, coldOf] of Object.entries(cases)) {
    const figures = new Map(["ferrite", "ferrite lite", ...peers].map((name) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      for (const [candidate, list] of figures) list.push(await coldOf(candidate));
    }
    for (const [ours, row] of [["ferrite", name], ["ferrite lite", `${name} lite`]]) {
      const compared = (metric, valueOf) => (
        compare(figures, peers, { name: row, metric }, valueOf, ours));
      compared("cold_ms", ({ milliseconds }) => milliseconds);
      compared("cpu_ms", ({ cpuMilliseconds }) => cpuMilliseconds);
    }
  }
}

function expectEqual(lists, what) {
  const [first, ...others] = lists.map((list) => JSON.stringify(list));
  if (others.some((other) => other !== first)) throw new Error(`${what}: not all read the same`);
}

/** Whether the runtime of a group is here; says which are not. */
async function filterOf() {
  const versions = { workerd: "workerd" };
  for (const runtime of ["node", "bun", "deno"]) versions[runtime] = await versionOf(runtime);
  for (const [runtime, version] of Object.entries(versions)) {
    if (version === undefined) progress(`${runtime} is not installed: its rows are left out`);
  }
  return ({ runtime = "workerd" }) => versions[runtime] !== undefined;
}

async function main() {
  unpack();
  const isHere = await filterOf();
  const groups = (list, measure, nameOf) => list.filter(isHere)
    .map((group) => [nameOf(group), () => measure(group)]);
  const steps = [
    ...groups(full, measureFull, ({ runtime, size, suffix = "" }) => (
      `${runtime} ${size.label}${suffix}`)),
    ...groups(churn, measureChurn, ({ runtime, size, form }) => (
      `${runtime} churn ${size.label} ${form}`)),
    ...groups(requests, measureRequests, ({ label }) => `requests ${label}`),
    ...groups(memory, measureMemory, ({ name }) => `memory: ${name}`),
    ["cold start", measureCold],
  ].filter(([name]) => !given.only || name.includes(given.only));
  const start = performance.now();
  printTitle();
  for (const [index, [name, measure]] of steps.entries()) {
    const seconds = Math.round((performance.now() - start) / 1000);
    progress(`${index + 1} of ${steps.length}, ${seconds} s: ${name}`);
    await measure();
  }
  if (given.json) saveRows(given.json);
  if (given.chart) writeFileSync(given.chart, drawChart(rows));
  process.exit(0);
}

await main();
