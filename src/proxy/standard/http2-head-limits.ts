/**
 * What peers with nghttp2 (curl, node) accept: fields of 64 KiB, and 9 frames of 16 KiB for a head. Above that they end
 * the connection, and with it all other streams.
 */
const maxFieldBytes = 64 * 1024;
const maxHeadBytes = 128 * 1024;
/** More than a field's framing takes in HPACK. */
const fieldOverhead = 8;

/** node's limit for a head that it sends, above `maxHeadBytes` and what node adds for each field: else it resets the stream. */
export const maxSendHeaderBlockLength: number = 512 * 1024;

/** Whether a head of these fields, flat, is larger than a peer can be expected to accept. */
export function exceedsHttp2(fields: readonly string[]): boolean {
  let bytes = (fields.length / 2) * fieldOverhead;
  for (const { length } of fields) {
    if (length > maxFieldBytes) return true;
    bytes += length;
  }
  return bytes > maxHeadBytes;
}
