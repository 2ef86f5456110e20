// Runs the bench of the engine as wasm: node run.mjs MODULE FOLDER [ARGUMENTS]. The module sees the
// folder as /out. Its clock is the CPU time of the process, so that a busy neighbour only widens
// the spread; all else is WASI as Node has it.
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const [path, folder, ...args] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args: ["engine", ...args], preopens: { "/out": folder } });
const imports = wasi.getImportObject();
let memory;
imports.wasi_snapshot_preview1.clock_time_get = (clock, precision, address) => {
  const { user, system } = process.cpuUsage();
  new DataView(memory.buffer).setBigUint64(address, BigInt(user + system) * 1000n, true);
  return 0;
};
const { instance } = await WebAssembly.instantiate(readFileSync(path), imports);
memory = instance.exports.memory;
process.exitCode = wasi.start(instance);
