// Visits the site through the Worker, every path twice, and prints what came of it.
//   node origin/visit.js [WORKER] [ORIGIN]
// Fails unless each second answer came from where it should: a path that may be kept as a HIT that
// the origin never heard of, any other from the origin. Expects a Worker that has just started.

const [worker = "http://127.0.0.1:8787", origin = "http://127.0.0.1:8788"] = process.argv.slice(2);
const kept = ["/", "/products.json", "/logo.svg", "/old", "/nothing-here"];
const passed = ["/account.json", "/cart.json", "/welcome"];

async function visit(path) {
  const start = performance.now();
  const response = await fetch(worker + path, { redirect: "manual" });
  const body = await response.arrayBuffer();
  const ms = (performance.now() - start).toFixed(1);
  const how = response.headers.get("X-Cache") ?? "(none)";
  return { status: response.status, bytes: body.byteLength, how, ms };
}

async function asked(path) {
  const counts = await (await fetch(`${origin}/__origin/counts`)).json();
  return counts[path] ?? 0;
}

// The first request of all starts the runtime and opens connections; it is no figure for the table.
await fetch(`${worker}/__ferrite/stats`);

const row = (path, status, bytes, first, firstMs, second, secondMs, origin) => console.log(
  path.padEnd(16), String(status).padEnd(7), String(bytes).padStart(6), "", first.padEnd(7),
  String(firstMs).padStart(7), "", second.padEnd(7), String(secondMs).padStart(7), "", origin);
row("path", "status", "bytes", "first", "ms", "second", "ms", "origin asked");

let wrong = 0;
for (const path of [...kept, ...passed]) {
  const before = await asked(path);
  const first = await visit(path);
  const second = await visit(path);
  const times = (await asked(path)) - before;
  row(path, second.status, second.bytes, first.how, first.ms, second.how, second.ms, times);
  const expected = kept.includes(path) ? ["MISS", "HIT", 1] : ["BYPASS", "BYPASS", 2];
  if ([first.how, second.how, times].join() !== expected.join()) {
    console.error(`${path}: expected ${expected.join(", ")}`);
    wrong += 1;
  }
}

console.log("\nthe cache says:", await (await fetch(`${worker}/__ferrite/stats`)).json());
process.exitCode = wrong > 0 ? 1 : 0;
