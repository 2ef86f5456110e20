// Processes that are measured: started, asked, read from outside, ended. Linux only: CPU time is
// that of all the process's threads, in nanoseconds (/proc/PID/task/*/schedstat), so garbage
// collectors and compilers count, and a clock that stands still, as workerd's does, is not asked.
// Invariant: each process answers in time or is killed, and none outlives the bench.

import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { basename, dirname } from "node:path";
import { createInterface } from "node:readline";

const answerMillisecondsMax = 120_000;
/** The first Worker date on which `Buffer` is there without being asked for. */
const compatibilityDate = "2026-08-04";

const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));

/** How each runtime starts a script. */
const scripts = {
  node: (path) => ["node", "--expose-gc", path],
  bun: (path) => ["bun", path],
  deno: (path) => ["deno", "run", "--allow-all", "--quiet", path],
};

/** Whether a runtime is here: its version, or nothing. */
export async function versionOf(runtime) {
  const [command] = scripts[runtime]("");
  const child = spawn(command, ["--version"], { stdio: ["ignore", "pipe", "ignore"] });
  const failed = new Promise((resolve) => child.once("error", () => resolve(undefined)));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return Promise.race([failed, lines.next().then(({ value }) => value)]);
}

/** Starts a bundle of subject.mjs. */
export async function startScript(runtime, path) {
  const [command, ...args] = scripts[runtime](path);
  const child = start(command, args, ["pipe", "pipe", "inherit"]);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await inTime(lines.next(), child, path);
    if (done) throw new Error(`${runtime} ${basename(path)} ended`);
    return JSON.parse(value);
  };
  await next();
  return subjectOf(child, (message) => {
    child.stdin.write(`${JSON.stringify(message)}\n`);
    return next();
  });
}

/** Starts workerd with a bundle of worker.mjs, on a port that the system chooses. */
export async function startWorker(path) {
  const config = path.replace(/mjs$/, "capnp");
  writeFileSync(config, configOf(path));
  const args = ["serve", config, "--control-fd=3"];
  // On one core: which one a thread runs on is no part of what is compared.
  const pinned = existsSync("/usr/bin/taskset") ? ["taskset", "-c", "0"] : [];
  const [command, ...rest] = [...pinned, "workerd", ...args];
  const child = start(command, rest, ["ignore", "inherit", "inherit", "pipe"]);
  const events = createInterface({ input: child.stdio[3] })[Symbol.asyncIterator]();
  const { value, done } = await inTime(events.next(), child, path);
  if (done) throw new Error(`workerd did not start with ${basename(path)}`);
  const { port } = JSON.parse(value);
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const send = (method, url, body) => inTime(answerOf({ agent, port, method, url, body }), child, path);
  const subject = subjectOf(child, async (message) => {
    const { status, body } = await send("POST", "/", JSON.stringify(message));
    if (status !== 200) throw new Error(`${basename(path)}: ${status} ${body}`);
    return JSON.parse(body);
  });
  return { ...subject, fetch: (url) => send("GET", url) };
}

function configOf(path) {
  const wasm = readdirSync(dirname(path)).filter((name) => name.endsWith(".wasm"));
  const isUsed = (name) => readFileSync(path, "utf8").includes(`./${name}`);
  const modules = [
    `(name = "main", esModule = embed "${basename(path)}")`,
    ...wasm.filter(isUsed).map((name) => `(name = "${name}", wasm = embed "${name}")`),
  ];
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    modules = [${modules.join(", ")}], compatibilityDate = "${compatibilityDate}"))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")]);
`;
}

function answerOf({ agent, port, method, url, body }) {
  return new Promise((resolve, reject) => {
    const asked = request({ agent, host: "127.0.0.1", port, method, path: url }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.once("error", reject);
      response.once("end", () => {
        const { statusCode: status, headers } = response;
        resolve({ status, headers, body: Buffer.concat(chunks) });
      });
    });
    asked.once("error", reject);
    asked.end(body);
  });
}

function start(command, args, stdio) {
  const child = spawn(command, args, { stdio });
  running.add(child);
  child.once("exit", () => running.delete(child));
  child.once("error", (error) => { throw error; });
  return child;
}

async function inTime(promise, child, path) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`${basename(path)} did not answer in ${answerMillisecondsMax / 1000} s`));
    }, answerMillisecondsMax);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function subjectOf(child, ask) {
  const { pid } = child;
  const threads = () => {
    const times = new Map();
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const path = `/proc/${pid}/task/${thread}/schedstat`;
      try {
        times.set(thread, Number(readFileSync(path, "utf8").split(" ")[0]));
      } catch {
        // A thread that ended between the two lines.
      }
    }
    return times;
  };
  const kilobytes = (name) => {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return 1024 * Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)[1]);
  };
  return {
    ask,
    /** CPU time since the process began, but for threads that ended. */
    cpuNanoseconds: () => threads().values().reduce((sum, time) => sum + time, 0),
    residentBytes: () => kilobytes("VmRSS"),
    peakBytes: () => kilobytes("VmHWM"),
    /** CPU time that the process spends while `work` is done, in nanoseconds. */
    async cpuTimeOf(work) {
      const before = threads();
      const result = await work();
      let nanoseconds = 0;
      for (const [thread, time] of threads()) nanoseconds += time - (before.get(thread) ?? 0);
      return { result, nanoseconds };
    },
    close: () => new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) return resolve();
      child.once("exit", resolve);
      child.kill("SIGKILL");
    }),
  };
}
