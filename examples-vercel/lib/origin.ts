// Where data comes from when no cache has it: origin/server.js, unless ORIGIN names another.

const origin = process.env.ORIGIN ?? "http://127.0.0.1:8789";
const patienceMs = 5_000;

export async function fetchFromOrigin(key: string): Promise<string> {
  const url = `${origin}/data/${encodeURIComponent(key)}`;
  const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(patienceMs) });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.text();
}
