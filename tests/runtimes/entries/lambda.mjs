// A function for Lambda@Edge: the suite's report as the body of a generated response.
import initFerrite from "@ferrite/edge";
import { run } from "./suite.js";

const cache = initFerrite();

export async function handler(event) {
  const { uri } = event.Records[0].cf.request;
  const visits = (await cache).incr(uri);
  const report = { ...await run(), visits };
  return { status: "200", statusDescription: "OK", body: JSON.stringify(report) };
}
