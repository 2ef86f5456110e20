// Starts the origin for the tests, on a free port, and tells them where it is.

import { startOrigin } from "../origin/server.js";

export default async function setup(project) {
  const server = await startOrigin(0);
  project.provide("origin", `http://127.0.0.1:${server.address().port}`);
  return () => server.close();
}
