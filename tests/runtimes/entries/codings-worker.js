// Answers with what the origin says, kept once: /gzip as it is fetched, /gzip?manual in its coding,
// /gzip?own as a response of the Worker's own in that coding.
import { initFerrite } from "@ferrite/edge";

const cache = await initFerrite();

export default {
  async fetch(request, { origin }) {
    const { pathname, search } = new URL(request.url);
    const url = `http://origin${pathname}`;
    const coded = await origin.fetch(url, search ? { encodeResponseBody: "manual" } : {});
    // Nothing tells a Worker that a body in br is one.
    const options = search && pathname === "/br" ? { encodeBody: "manual" } : {};
    const { headers } = coded;
    await cache.putResponse(request.url, search === "?own"
      ? new Response(await coded.arrayBuffer(), { headers, encodeBody: "manual" })
      : coded, options);
    return cache.getResponse(request.url);
  },
};
