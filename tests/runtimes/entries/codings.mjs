// Fetches the body of an origin in each coding, keeps it, and prints what comes back.
import { initFerrite } from "@ferrite/edge";

const cache = await initFerrite();
const origin = process.argv[2];
const kept = [];
for (const coding of process.argv.slice(3)) {
  await cache.putResponse(coding, await fetch(`${origin}/${coding}`));
  const response = cache.getResponse(coding);
  const body = [...new Uint8Array(await response.arrayBuffer())];
  kept.push({ coding: response.headers.get("content-encoding"), body });
}
console.log(JSON.stringify(kept));
