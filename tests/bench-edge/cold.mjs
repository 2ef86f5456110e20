// From import to a first hit, in a process that does nothing else: node cold.mjs BUNDLE prints the
// milliseconds that took, and those of CPU time.

const before = process.cpuUsage();
const start = performance.now();
const { subject } = await import(process.argv[2]);
const cache = await subject.make({ entries: 1000, bytes: 100, budgetBytes: 32 << 20 });
cache.set("a key", "a value");
if (cache.get("a key") !== "a value") throw new Error("no hit");
const milliseconds = performance.now() - start;
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ milliseconds, cpuMilliseconds: (user + system) / 1000 }));
