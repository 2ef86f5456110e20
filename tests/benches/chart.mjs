// A chart of the rows of a suite: node chart.mjs SUITE ROWS.json CHART.svg. Bars go right of the
// line where Ferrite is better. Every row of the metrics that are named here is in it.
// Not here: the edge suite, whose peers are chosen case by case (bench-edge/chart.mjs).

import { readFileSync, writeFileSync } from "node:fs";

import { drawGroups } from "../bench-edge/chart.mjs";

const of = (metric, pattern = /^/) => (row) => row.metric === metric && pattern.test(row.case);

const charts = {
  functions: {
    heading: "Functions beside each peer: to the right Ferrite is better",
    about: "Functions in WebAssembly beside their peers, case by case",
    sections: [
      ["CPU time of a call in process", of("cpu_ns", /^(?!FCALL)/)],
      ["CPU time of the server for FCALL", of("cpu_ns", /^FCALL/)],
      ["Calls a second", of("rps")],
      ["What 99 of 100 requests of others take at most", of("p99_us")],
    ],
  },
  persist: {
    heading: "Durability beside each peer: to the right Ferrite is better",
    about: "What durability costs beside the peers, case by case",
    sections: [
      ["Requests a second", of("rps")],
      ["CPU time of the server for a request", of("cpu_ns")],
      ["What 999 of 1000 requests take at most", of("p999_us")],
      ["Bytes of log for a request", of("log_bytes")],
      ["Seconds", of("seconds")],
      ["Seconds of CPU time", of("cpu_seconds")],
      ["Memory at most", of("peak_mb")],
    ],
  },
  server: {
    heading: "The server beside its peer: to the right Ferrite is better",
    about: "The server beside its peer, case by case",
    sections: [
      ["CPU time of the server for a request", of("cpu_ns")],
      ["Requests a second", of("rps")],
      ["What 99 of 100 requests take at most", of("p99_us")],
      ["What 999 of 1000 requests take at most", of("p999_us")],
      ["Memory, content included", of("used_bytes")],
    ],
  },
};

export function drawChart(suite, rows) {
  const { heading, about, sections } = charts[suite];
  const peers = new Set(rows.map((row) => row.peer_name));
  const labelOf = (row) => (peers.size > 1 ? `${row.case}, ${row.peer_name}` : row.case);
  const groups = sections.map(([title, belongs]) => [
    title, rows.filter(belongs).map((row) => ({ label: labelOf(row), ratio: row.ratio })),
  ]);
  return drawGroups(groups, heading, about);
}

if (import.meta.filename === process.argv[1]) {
  const [suite, from, to] = process.argv.slice(2);
  writeFileSync(to, drawChart(suite, JSON.parse(readFileSync(from, "utf8"))));
}
