// Runs the bench of the engine as wasm: node run.mjs MODULE FOLDER [ARGUMENTS]. The module sees the
// folder as /out. Its clock is the CPU time of the process, so that a busy neighbour only widens
// the spread; all else is WASI as Node has it.
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const [path, folder, ...args] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args: ["engine", ...args], preopens: { "/out": folder } });
const imports = wasi.getImportObject();
const calls = imports.wasi_snapshot_preview1;
let memory;
// Each call goes through a function of JavaScript: called directly from optimised wasm, Node 22's own
// functions end the process with a segmentation fault after a while.
for (const [name, call] of Object.entries(calls)) calls[name] = (...args) => call(...args);
calls.clock_time_get = (clock, precision, address) => {
  const { user, system } = process.cpuUsage();
  new DataView(memory.buffer).setBigUint64(address, BigInt(user + system) * 1000n, true);
  return 0;
};
const { instance } = await WebAssembly.instantiate(readFileSync(path), imports);
memory = instance.exports.memory;
process.exitCode = wasi.start(instance);
