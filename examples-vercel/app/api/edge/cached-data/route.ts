// The same on Vercel's edge runtime, where the package has an entry of its own.
export { GET } from "../../../../lib/cached-data";

export const runtime = "edge";
