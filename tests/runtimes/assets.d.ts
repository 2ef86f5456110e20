// What consumer.ts bundles into the suite: every transcript, by the name of its file.

declare module "*/transcripts.json" {
  const transcripts: Record<string, string>;
  export default transcripts;
}
