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
const blanksInExtensions = "blanks before a chunk extension";
const longExtensions = "chunk extensions of a response above 16 KiB";
const hugeChunk = "a chunk of a response above 2^53 bytes";
const headUnended = "an invalid field in a request head that has not ended";
const versions = "the HTTP version of a response's status line";
const emptyLines = "empty lines before a response's status line";
const bareCr = "a bare CR at the end of a response's status line";
const blanksAroundLength = "blanks around a response's `Content-Length`";
const splitReason = "a reason phrase that arrives in several reads";
const closingHint = "a 103 with `Connection: close`";
const resetBody = "a response without a length that ends with a reset";

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
  ["status lines: version HTTP/2.0", versions],
  ["status lines: version HTTP/0.9", versions],
  ["response bodies: chunk extensions with blanks", blanksInExtensions],
  ["response bodies: blanks around a length", blanksAroundLength],
  ["response bodies: 30 KiB of chunk extensions", longExtensions],
  ['responses that take their time: bad chunk "ffffffffffffffff\\r\\nhello\\r\\n"', hugeChunk],
  ['responses that take their time: bad chunk "7fffffffffffffff\\r\\nhello\\r\\n"', hugeChunk],
  ["response bodies: until close, broken off", resetBody],
  ["response bodies: a head byte by byte", splitReason],
  ["interim responses: a 103 with Connection: close", closingHint],
  ["malformed responses: malformed: an empty line first", emptyLines],
  ["malformed responses: malformed: two empty lines first", emptyLines],
  ["upstreams that break, stop or hurry: nobody listens, POST", unreadUpload],
  ["requests of others: gunicorn-valid-013", blanksInExtensions],
  ["requests of others: h11-chunk-ext", blanksInExtensions],
  ["requests of others: llhttp-content-length-77", headUnended],
  ["requests of others: llhttp-content-length-102", headUnended],
  ["requests of others: llhttp-lenient-headers-36", lookAhead],
  ["responses of others: llhttp-resp-content-length-170", blanksAroundLength],
  ["responses of others: llhttp-resp-content-length-170, then closed", blanksAroundLength],
  ["responses of others: llhttp-resp-invalid-178", bareCr],
  ["responses of others: llhttp-resp-invalid-178, then closed", bareCr],
  ["responses of others: llhttp-resp-sample-42", versions],
  ["responses of others: llhttp-resp-sample-42, then closed", versions],
  ["responses of others: llhttp-resp-sample-62", versions],
  ["responses of others: llhttp-resp-sample-62, then closed", versions],
  ["responses of others: llhttp-resp-sample-647", versions],
  ["responses of others: llhttp-resp-sample-647, then closed", versions],
  ["responses of others: llhttp-resp-sample-697", emptyLines],
  ["responses of others: llhttp-resp-sample-697, then closed", emptyLines],
]);
