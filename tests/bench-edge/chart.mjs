// A chart of the rows of a run: node chart.mjs ROWS.json CHART.svg. Bars go right of the line where
// Ferrite is better, left of it where lru-cache is. lru-cache is used as the case asks for: holding
// bytes where bytes are read, strings elsewhere; whole requests are compared with all its uses.
// Not here: Deno, Bun and the other peers, which the rows have.

import { readFileSync, writeFileSync } from "node:fs";

const about = (pattern, ...metrics) => (row) => (
  pattern.test(row.case) && metrics.includes(row.metric));

const sections = [
  ["CPU time in Node", about(/^node (?!cold)/, "cpu_ns")],
  ["CPU time in workerd", about(/^workerd (?!request|cold)/, "cpu_ns")],
  ["CPU time of whole requests to workerd", about(/^workerd request/, "cpu_ns")],
  ["Memory of workerd after these requests", about(/^workerd request/, "rss_bytes")],
  ["Time collecting garbage in Node", about(/^node/, "gc_ms")],
  ["Entries in memory of the process", about(/^entries/, "entries")],
  ["Memory of the process", about(/^shifts/, "growth_bytes", "peak_bytes")],
  ["Time to a first hit", about(/cold/, "cold_ms")],
];

/** The use of lru-cache that a case asks for. */
function isMeant({ case: name, peer_name: peer }) {
  if (/request/.test(name)) return peer.startsWith("lru-cache");
  if (/ ttl$/.test(name)) return peer === "lru-cache ttl";
  if (/^(entries|shifts)/.test(name)) return peer === "lru-cache maxSize";
  return peer === (/ (view|bytes)/.test(name) ? "lru-cache bytes" : "lru-cache");
}

/** What is measured, where cases alone do not say. */
const measures = { peak_bytes: ", at most" };

const width = 960;
const lineHeight = 17;
const labelsEnd = 365;
/** Where a ratio of 1 is, and how far from it one of 2. Longer bars than that of 16 are cut. */
const center = 665;
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
  const groups = sections.map(([title, belongs]) => {
    const bars = rows.filter((row) => belongs(row) && isMeant(row));
    return [title, bars.map((row) => ({ label: labelOf(row), ratio: row.ratio }))];
  });
  const heading = "Ferrite beside lru-cache: to the right Ferrite is better";
  return drawGroups(groups, heading, "Ferrite beside lru-cache, case by case");
}

/** Groups of bars: `[title, [{label, ratio}]]`. */
export function drawGroups(groups, heading, about) {
  const lines = [];
  let y = 46;
  for (const [title, bars] of groups) {
    if (bars.length === 0) continue;
    lines.push(`<text class="section" x="8" y="${y + 12}">${escape(title)}</text>`);
    y += lineHeight + 4;
    for (const { label, ratio } of bars) {
      lines.push(...bar(label, ratio, y));
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
  height="${y}" role="img" aria-label="${escape(about)}">
<style>${style}</style>
<text x="8" y="28">${escape(heading)}</text>
${[...scale, ...lines].join("\n")}
</svg>
`;
}

function labelOf(row) {
  const isRequest = row.case.includes("request");
  const suffix = isRequest ? row.peer_name.replace(/^lru-cache(?=$|,)/, "strings")
    .replace("lru-cache ", "") : "";
  return row.case + (measures[row.metric] ?? "") + (suffix ? ` (${suffix})` : "");
}

function bar(label, ratio, y) {
  const [start, end] = [center, positionOf(ratio)].toSorted((left, right) => left - right);
  const isBetter = ratio >= 1;
  const anchor = isBetter ? `x="${end + 5}"` : `x="${start - 5}" text-anchor="end"`;
  return [
    `<text x="${labelsEnd}" y="${y + 12}" text-anchor="end">${escape(label)}</text>`,
    `<rect class="${isBetter ? "better" : "worse"}" x="${start}" y="${y + 2}" height="12"`
      + ` width="${Math.max(1, end - start).toFixed(1)}"/>`,
    `<text ${anchor} y="${y + 12}">${nameOf(ratio)}</text>`,
  ];
}

/** The scale is logarithmic: twice as good is as far from the line as half as good. */
function positionOf(ratio) {
  const within = Math.min(ratioMax, Math.max(1 / ratioMax, ratio));
  return Math.round((center + doubling * Math.log2(within)) * 10) / 10;
}

const nameOf = (ratio) => String(Number(ratio.toPrecision(ratio < 1 ? 2 : 3)));
const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

if (import.meta.filename === process.argv[1]) {
  const [from, to] = process.argv.slice(2);
  writeFileSync(to, drawChart(JSON.parse(readFileSync(from, "utf8"))));
}
