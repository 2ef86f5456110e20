// Asks each route twice for the same key, and prints where the answers came from.
//   node origin/visit.js [APP] [ORIGIN]
// Fails unless each second answer came from the cache, without the origin hearing of it.

const [app = "http://127.0.0.1:3000", origin = "http://127.0.0.1:8789"] = process.argv.slice(2);
const key = `visit-${Date.now()}`;
const routes = { Node: "/api/cached-data", edge: "/api/edge/cached-data" };

const asked = async (key) => (await (await fetch(`${origin}/counts`)).json())[key] ?? 0;

const row = (...cells) => console.log(cells.map((cell) => String(cell).padEnd(10)).join(""));
row("runtime", "first", "second", "origin asked");
for (const [runtime, path] of Object.entries(routes)) {
  const found = [];
  for (let visit = 0; visit < 2; visit++) {
    const response = await fetch(`${app}${path}?key=${runtime}-${key}`);
    await response.text();
    found.push(response.headers.get("X-Cache") ?? response.status);
  }
  const times = await asked(`${runtime}-${key}`);
  row(runtime, ...found, times);
  if ([...found, times].join() !== "MISS,HIT,1") process.exitCode = 1;
}
if (process.exitCode) console.error("expected MISS, HIT, and the origin asked once");
