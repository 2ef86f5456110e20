// Ferrite as a store of pages: bodies as bytes, or whole Responses.

import initFerrite from "@ferrite/edge";
import { shared } from "../pages.mjs";

const respond = (view) => new Response(view, shared);

async function open({ kind, budgetBytes }) {
  const cache = await initFerrite({ maxMemory: budgetBytes });
  if (kind === "response") {
    return {
      find: (path) => cache.getResponse(path),
      async keep(path, response) {
        await cache.putResponse(path, response);
        return cache.getResponse(path);
      },
    };
  }
  return {
    find: (path) => cache.withBytes(path, respond),
    async keep(path, response) {
      const body = await response.bytes();
      cache.set(path, body);
      return new Response(body, shared);
    },
  };
}

export const ferrite = { open };
