// A chart of the rows of scripts/bench functions: node chart.mjs ROWS.json CHART.svg. Bars go right
// of the line where Ferrite is better. Each row that the bench prints is in it.

import { readFileSync, writeFileSync } from "node:fs";

import { drawGroups } from "../bench-edge/chart.mjs";

const isCalled = ({ case: name }) => name.startsWith("FCALL");
const sections = [
  ["CPU time of a call in process", (row) => row.metric === "cpu_ns" && !isCalled(row)],
  ["CPU time of the server for FCALL", (row) => row.metric === "cpu_ns" && isCalled(row)],
  ["Calls a second", (row) => row.metric === "rps"],
  ["What 99 of 100 requests of others take at most", (row) => row.metric === "p99_us"],
];

export function drawChart(rows) {
  const labelOf = (row) => `${row.case}, ${row.peer_name}`;
  const groups = sections.map(([title, belongs]) => [
    title, rows.filter(belongs).map((row) => ({ label: labelOf(row), ratio: row.ratio })),
  ]);
  const heading = "Functions beside each peer: to the right Ferrite is better";
  return drawGroups(groups, heading, "Functions in WebAssembly beside their peers, case by case");
}

if (import.meta.filename === process.argv[1]) {
  const [from, to] = process.argv.slice(2);
  writeFileSync(to, drawChart(JSON.parse(readFileSync(from, "utf8"))));
}
