/**
 * Why the lanes differ in a case, each a row of the table in docs/canonical-form.md, "Where the lanes differ": its first
 * cell, word for word (known-differences.test.ts holds the two together).
 */
const lookAhead = "malformed bytes behind a request that is being answered";
const closeInTheMiddle = "pipelined requests behind one with `Connection: close`";
const connectBehind = "`CONNECT` behind a request that is being answered";
const upgradeBehind = "a WebSocket upgrade behind a request that is being answered";
const refusedUpload = "an upload refused in the middle, whose client then leaves";
const unreadUpload = "an upload to an endpoint that cannot be reached";
const blanksInExtensions = "blanks before a chunk extension of a request";
const headUnended = "an invalid field in a request head that has not ended";

/** Cases in which the lanes differ, by the title of their group and their name. Each is expected to fail. */
export const knownDifferences: ReadonlyMap<string, string> = new Map([
  ["pipelined requests: an irregular one behind a regular one", lookAhead],
  ["pipelined requests: malformed behind a regular one", lookAhead],
  ["pipelined requests: garbage behind a regular one", lookAhead],
  ["pipelined requests: garbage behind a POST", lookAhead],
  ["pipelined requests: bytes beyond a length", lookAhead],
  ["pipelined requests: close in the second of three", closeInTheMiddle],
  ["pipelined requests: CONNECT behind a regular one", connectBehind],
  ["pipelined requests: Upgrade behind a regular one", upgradeBehind],
  ['request bodies: framing "Content_Length: 5\\r\\n"', lookAhead],
  ['request bodies: framing "Transfer_Encoding: chunked\\r\\n"', lookAhead],
  ["request bodies: chunk extensions with blanks", blanksInExtensions],
  ["request bodies: 20 KiB of chunk extensions", refusedUpload],
  ["request bodies: trailers that may not be", refusedUpload],
  ["request bodies: 40 KiB of trailers", refusedUpload],
  ["upstreams that break, stop or hurry: nobody listens, POST", unreadUpload],
  ["requests of others: gunicorn-valid-013", blanksInExtensions],
  ["requests of others: h11-chunk-ext", blanksInExtensions],
  ["requests of others: llhttp-content-length-77", headUnended],
  ["requests of others: llhttp-content-length-102", headUnended],
  ["requests of others: llhttp-lenient-headers-36", lookAhead],
]);
