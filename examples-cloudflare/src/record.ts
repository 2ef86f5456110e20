// One response as one value in the cache: four bytes that say how long the head is, the head as
// JSON, then the body's bytes as they came.

export interface Head {
  status: number;
  headers: [string, string][];
  /** When the origin made it, in milliseconds: what Age counts from. */
  bornAt: number;
}

const prefixBytes = 4;

export function pack(head: Head, chunks: Uint8Array[]): Uint8Array {
  const headBytes = new TextEncoder().encode(JSON.stringify(head));
  const bodyBytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const record = new Uint8Array(prefixBytes + headBytes.length + bodyBytes);
  new DataView(record.buffer).setUint32(0, headBytes.length);
  let at = prefixBytes;
  for (const part of [headBytes, ...chunks]) {
    record.set(part, at);
    at += part.length;
  }
  return record;
}

export function unpack(record: Uint8Array): { head: Head; body: Uint8Array } {
  const headBytes = new DataView(record.buffer, record.byteOffset).getUint32(0);
  const bodyAt = prefixBytes + headBytes;
  const head = JSON.parse(new TextDecoder().decode(record.subarray(prefixBytes, bodyAt))) as Head;
  return { head, body: record.subarray(bodyAt) };
}
