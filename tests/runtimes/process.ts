// Programs that the tests run: to their end, or until they are no longer needed.
// Invariant: each is bounded in time, and its whole process group ends with the test.

import { spawn, type ChildProcess } from "node:child_process";

const outputCharactersMax = 1 << 22;

interface Where {
  cwd: string;
  env?: Record<string, string>;
  seconds?: number;
}

function start(command: string, words: string[], where: Where): ChildProcess {
  return spawn(command, words, {
    cwd: where.cwd,
    env: { ...process.env, ...where.env },
    // A group of its own, so that what it starts itself ends with it.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

function end(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, signal);
  } catch {
    // It has ended already.
  }
}

/** Everything that is printed, by its last characters. */
function listen(child: ChildProcess): { both: string; out: string } {
  const heard = { both: "", out: "" };
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    heard.both = (heard.both + text).slice(-outputCharactersMax);
    heard.out = (heard.out + text).slice(-outputCharactersMax);
  });
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    heard.both = (heard.both + text).slice(-outputCharactersMax);
  });
  return heard;
}

/** Runs a program to its end: what it printed on its standard output. */
export async function output(command: string, words: string[], where: Where): Promise<string> {
  const child = start(command, words, where);
  const heard = listen(child);
  const seconds = where.seconds ?? 60;
  const timer = setTimeout(() => end(child, "SIGKILL"), seconds * 1000);
  try {
    const code = await new Promise((resolve, reject) => {
      child.once("error", reject).once("close", (code, signal) => resolve(code ?? signal));
    });
    if (code === 0) return heard.out;
    throw new Error(`${command} ${words.join(" ")} ended with ${code} `
      + `(it has ${seconds} s):\n${heard.both}`);
  } finally {
    clearTimeout(timer);
  }
}

export interface Server {
  url: string;
  /** What it has printed so far. */
  log(): string;
  stop(): Promise<void>;
}

/** Starts a server and waits for it to print its port, as `port` finds it. */
export async function serve(
  command: string, words: string[], port: RegExp, where: Where,
): Promise<Server> {
  const child = start(command, words, where);
  const heard = listen(child);
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const stop = async () => {
    end(child, "SIGTERM");
    const timer = setTimeout(() => end(child, "SIGKILL"), 5_000);
    await closed;
    clearTimeout(timer);
  };
  const seconds = where.seconds ?? 60;
  try {
    const found = await new Promise<string>((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`${command}: ${why}:\n${heard.both}`));
      const timer = setTimeout(() => fail(`not ready in ${seconds} s`), seconds * 1000);
      child.once("error", reject);
      child.once("close", (code) => (clearTimeout(timer), fail(`ended with ${code}`)));
      const look = () => {
        const match = port.exec(heard.both);
        if (match) resolve((clearTimeout(timer), match[1]!));
      };
      child.stdout!.on("data", look);
      child.stderr!.on("data", look);
    });
    return { url: `http://127.0.0.1:${found}`, log: () => heard.both, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
