// On Node, which Vercel recommends: one instance serves many requests, also at the same moment.
export { GET } from "../../../lib/cached-data";
