// Rows, in the form of every scripts/bench: case, metric, Ferrite, peer, ratio, spread. A ratio above
// one always means that Ferrite is better.

import { writeFileSync } from "node:fs";

export const rows = [];

export function printTitle() {
  console.log(`${"case".padEnd(34)} ${"metric".padEnd(12)} ${"ferrite".padStart(9)} `
    + `${"peer".padStart(9)}  ${"peer_name".padEnd(27)} ${"ratio".padStart(6)}  spread of the ratio`);
}

/**
 * Adds a row. Of pairs of figures, one a round, it shows the medians and the median of their ratios.
 * With `sums` it shows what the rounds make together, where single ones are too short to compare.
 */
export function addRow({ name, metric, peerName, pairs, moreIsBetter = false, sums = false }) {
  const ratioOf = ([ferrite, peer]) => (moreIsBetter ? ferrite / peer : peer / ferrite);
  const figures = [0, 1].map((side) => (sums ? sum : median)(pairs.map((pair) => pair[side])));
  const ratios = sums ? [ratioOf(figures)] : pairs.map(ratioOf);
  const ratio = median(ratios);
  const spread = sums ? "" : `${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)}`;
  const [ferrite, peer] = figures.map((figure) => short(figure).padStart(9));
  console.log(`${name.padEnd(34)} ${metric.padEnd(12)} ${ferrite} ${peer}  ${peerName.padEnd(27)} `
    + `${ratio.toFixed(2).padStart(6)}  ${spread}`);
  rows.push({
    case: name, metric, unit: metric.split("_").at(-1),
    ferrite: rounded(figures[0]), peer: rounded(figures[1]), peer_name: peerName,
    ratio: rounded(ratio), rounds: pairs.length,
  });
}

export function saveRows(path) {
  writeFileSync(path, `[\n${rows.map((row) => `  ${JSON.stringify(row)}`).join(",\n")}\n]\n`);
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const rounded = (value) => Number(value.toPrecision(5));
const short = (value) => (value >= 1e7 ? `${(value / 1e6).toFixed(1)} M`
  : value >= 100 ? String(Math.round(value)) : value.toPrecision(3));

function median(values) {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[sorted.length >> 1];
}
