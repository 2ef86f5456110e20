// Chromium, through three bundlers and through none.
// Invariant: the page gets nothing but the files of its own folder.

import { build as esbuild } from "esbuild";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { chromium, type Browser } from "playwright-core";
import { afterAll, describe, expect } from "vitest";
import { build as vite, createServer as viteInDevelopment } from "vite";
import webpack from "webpack";
import { consumer, find } from "./consumer.js";
import { needs, passes } from "./support.js";
import type { Report } from "./suite.js";

const types: Record<string, string> = { ".html": "text/html", ".js": "text/javascript" };
const html = readFileSync(join(import.meta.dirname, "entries/index.html"), "utf8");
const dist = "/node_modules/@ferrite/edge/dist";
/** Of the names that the suite imports. */
const map = JSON.stringify({
  imports: {
    "@ferrite/edge": `${dist}/index.js`,
    "@ferrite/edge/compressed": `${dist}/compressed.js`,
    "@ferrite/edge/lite": `${dist}/lite.js`,
  },
});

/** Each makes the folder of a site whose index.html runs the suite. */
const bundlers: Record<string, (folder: string) => Promise<void>> = {
  async Vite(folder) {
    await vite({
      root: consumer, configFile: false, logLevel: "warn",
      build: {
        outDir: folder, emptyOutDir: true, target: "es2022", chunkSizeWarningLimit: 2000,
      },
    });
  },

  async webpack(folder) {
    const compiler = webpack({
      mode: "production", context: consumer, entry: "./page.js", target: ["web", "es2022"],
      experiments: { outputModule: true }, performance: { hints: false },
      output: { path: folder, filename: "page.js", module: true },
    });
    const stats = await new Promise<webpack.Stats | undefined>((resolve, reject) => {
      compiler.run((error, stats) => error ? reject(error) : resolve(stats));
    });
    const { errors = [], warnings = [] } = stats!.toJson({ errors: true, warnings: true });
    const faults = [...errors, ...warnings].map(({ message }) => message);
    if (faults.length > 0) throw new Error(faults.join("\n"));
    writeFileSync(join(folder, "index.html"), html);
  },

  async esbuild(folder) {
    await esbuild({
      absWorkingDir: consumer, entryPoints: ["page.js"], outdir: folder, bundle: true,
      minify: true, format: "esm", target: "es2022", logLevel: "warning",
    });
    writeFileSync(join(folder, "index.html"), html);
  },

  async "no bundler, but an import map"(folder) {
    for (const name of ["page.js", "suite.js", "node_modules"]) {
      cpSync(join(consumer, name), join(folder, name), { recursive: true });
    }
    const script = `<script type="importmap">${map}</script>\n`;
    writeFileSync(join(folder, "index.html"), html.replace("<script", `${script}<script`));
  },
};

const path = find("chromium") ?? find("chromium-browser") ?? find("google-chrome");
let browser: Browser | undefined;
afterAll(() => browser?.close());

async function visit<Left = Report>(url: string): Promise<Left> {
  browser ??= await chromium.launch({
    executablePath: path!,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  const page = await browser.newPage();
  try {
    const errors: Error[] = [];
    page.on("pageerror", (error) => errors.push(error));
    await page.goto(url);
    const isDone = () => "report" in globalThis;
    await page.waitForFunction(isDone, undefined, { timeout: 60_000 }).catch((error) => {
      throw new AggregateError([...errors, error], errors.join("\n") || String(error));
    });
    return await page.evaluate(() => (globalThis as { report?: unknown }).report) as Left;
  } finally {
    await page.close();
  }
}

const urlOf = (server: Pick<Server, "address">) => (
  `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);

function serveFiles(folder: string, headers: Record<string, string> = {}): Promise<Server> {
  const server = createServer((request, response) => {
    const name = request.url === "/" ? "/index.html" : normalize(request.url!);
    try {
      const file = readFileSync(join(folder, name));
      const type = { "Content-Type": types[extname(name)] ?? "text/plain" };
      response.writeHead(200, { ...headers, ...type }).end(file);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve(server));
  });
}

describe("Chromium", () => {
  for (const [name, make] of Object.entries(bundlers)) {
    needs(`Chromium, ${name}`, path, async () => {
      const folder = join(consumer, "../browser", name.split(",")[0]!.replaceAll(" ", "-"));
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      await make(folder);
      const server = await serveFiles(folder);
      try {
        passes(await visit(urlOf(server)));
      } finally {
        server.closeAllConnections();
        server.close();
      }
    });
  }

  needs("Chromium, where the page's policy forbids WebAssembly or does not", path, async () => {
    const folder = join(consumer, "../browser/policy");
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    await esbuild({
      stdin: {
        contents: `import { initFerrite } from "@ferrite/edge";
          initFerrite().then((cache) => cache.ping(), ({ name, message }) => name + ": " + message)
            .then((said) => { globalThis.report = said; });`,
        resolveDir: consumer,
      },
      outfile: join(folder, "page.js"), bundle: true, format: "esm", logLevel: "warning",
    });
    writeFileSync(join(folder, "index.html"), html);
    for (const [policy, said] of [
      ["script-src 'self'", /^FerriteError: ERR .*Content-Security-Policy.*'wasm-unsafe-eval'/],
      ["script-src 'self' 'wasm-unsafe-eval'", /^PONG$/],
    ] as const) {
      const server = await serveFiles(folder, { "Content-Security-Policy": policy });
      try {
        expect(await visit<string>(urlOf(server))).toMatch(said);
      } finally {
        server.closeAllConnections();
        server.close();
      }
    }
  });

  needs("Chromium, Vite in development", path, async () => {
    const server = await viteInDevelopment({
      root: consumer, configFile: false, logLevel: "warn", cacheDir: join(consumer, ".vite"),
      server: { host: "127.0.0.1", port: 0, hmr: false, watch: null },
    });
    try {
      await server.listen();
      passes(await visit(urlOf(server.httpServer!)));
    } finally {
      await server.close();
    }
  });
});
