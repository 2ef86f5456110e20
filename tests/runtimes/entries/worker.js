// A Worker that makes a cache at its global scope, and runs the suite when it is asked to.
import initFerrite from "@ferrite/edge";
import { run } from "./suite.js";

const cache = await initFerrite();

export default {
  async fetch() {
    return Response.json({ ...await run(), visits: cache.incr("visits") });
  },
};
