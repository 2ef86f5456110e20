// The chart of README.md, drawn from the rows of a run: node chart.mjs ROWS.json CHART.svg. One bar a
// case, right of the line where Ferrite is better, left of it where lru-cache is. Of several ways to
// use lru-cache it shows the one that does best. Not here: Deno and Bun, which the rows have.

import { readFileSync, writeFileSync } from "node:fs";

const sections = [
  ["CPU time in Node", (row) => /^node/.test(row.case) && row.metric === "cpu_ns"],
  ["CPU time in workerd", (row) => /^workerd (?!request)/.test(row.case) && row.metric === "cpu_ns"],
  ["CPU time of whole requests to workerd",
    (row) => /^workerd request/.test(row.case) && row.metric === "cpu_ns"],
  ["Memory of workerd after these requests", (row) => row.metric === "rss_bytes"],
  ["Time collecting garbage in Node", (row) => row.metric === "gc_ms"],
  ["Entries and memory of the process",
    (row) => ["entries", "growth_bytes", "peak_bytes"].includes(row.metric)],
  ["Cold start", (row) => row.metric === "cold_ms"],
];

/** What is measured, where cases alone do not say. */
const measures = { growth_bytes: ", memory", peak_bytes: ", most memory" };

const width = 900;
const lineHeight = 17;
const labelsEnd = 330;
/** Where a ratio of 1 is, and how far from it one of 2. Longer bars than that of 16 are cut. */
const center = 610;
const doubling = 60;
const ratioMax = 16;

// Colours that can be read on white and on black, and are told apart without seeing red or green.
const style = `
  text { font: 12px system-ui, sans-serif; fill: #57606a; }
  .section { font-weight: 600; }
  .better { fill: #2f81f7; }
  .worse { fill: #d97706; }
  .grid { stroke: #8b949e; stroke-opacity: 0.35; }
  .even { stroke: #8b949e; }
  @media (prefers-color-scheme: dark) { text { fill: #b6bec8; } }
`;

export function drawChart(rows) {
  const lines = [];
  let y = 46;
  for (const [title, belongs] of sections) {
    const bars = hardest(rows.filter((row) => row.peer_name.startsWith("lru") && belongs(row)));
    if (bars.length === 0) continue;
    lines.push(`<text class="section" x="8" y="${y + 12}">${escape(title)}</text>`);
    y += lineHeight + 4;
    for (const row of bars) {
      lines.push(...bar(row, y));
      y += lineHeight;
    }
    y += 10;
  }
  const scale = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8].flatMap((ratio) => [
    `<line class="${ratio === 1 ? "even" : "grid"}" x1="${positionOf(ratio)}" y1="34"`
      + ` x2="${positionOf(ratio)}" y2="${y - 8}"/>`,
    `<text x="${positionOf(ratio)}" y="28" text-anchor="middle">${nameOf(ratio)}</text>`,
  ]);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}"
  height="${y}" role="img" aria-label="Ferrite beside lru-cache, case by case">
<style>${style}</style>
<text x="8" y="28">Ferrite beside lru-cache: to the right Ferrite is better</text>
${[...scale, ...lines].join("\n")}
</svg>
`;
}

function bar(row, y) {
  const [start, end] = [center, positionOf(row.ratio)].toSorted((left, right) => left - right);
  const isBetter = row.ratio >= 1;
  const label = row.case + (measures[row.metric] ?? "");
  const suffix = row.peer_name.replace(/^lru-cache,? ?/, "");
  const anchor = isBetter ? `x="${end + 5}"` : `x="${start - 5}" text-anchor="end"`;
  return [
    `<text x="${labelsEnd}" y="${y + 12}" text-anchor="end">${escape(label)}`
      + `${suffix ? ` (${escape(suffix)})` : ""}</text>`,
    `<rect class="${isBetter ? "better" : "worse"}" x="${start}" y="${y + 2}" height="12"`
      + ` width="${Math.max(1, end - start).toFixed(1)}"/>`,
    `<text ${anchor} y="${y + 12}">${nameOf(row.ratio)}</text>`,
  ];
}

/** Of the rows of one case and metric, the one in which lru-cache does best. */
function hardest(rows) {
  const least = new Map();
  for (const row of rows) {
    const name = `${row.case} ${row.metric}`;
    if (!least.has(name) || row.ratio < least.get(name).ratio) least.set(name, row);
  }
  return [...least.values()];
}

/** The scale is logarithmic: twice as good is as far from the line as half as good. */
function positionOf(ratio) {
  const within = Math.min(ratioMax, Math.max(1 / ratioMax, ratio));
  return Math.round((center + doubling * Math.log2(within)) * 10) / 10;
}

const nameOf = (ratio) => (ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(2).replace(/\.?0+$/, ""));
const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

if (import.meta.filename === process.argv[1]) {
  const [from, to] = process.argv.slice(2);
  writeFileSync(to, drawChart(JSON.parse(readFileSync(from, "utf8"))));
}
