/** Behind a request that is being answered, the standard lane has read what follows; the fast lane has not looked. */
const lookAhead =
  "the standard lane's parser runs ahead: what is malformed behind a request makes that request's answer the last, where the fast lane answers it, and then refuses what follows";
const refusedUpload =
  "the standard lane counts its own refusal as 499 where the client leaves while the rest of the upload is thrown away";
const versions = "the standard lane takes any HTTP/x.y that its parser knows in a status line";
const emptyLines = "the standard lane skips empty lines before a status line, which only servers may (RFC 9112 §2.2)";
const blanksInExtensions = "the standard lane's parser refuses blanks in chunk extensions";
const headUnended = "the standard lane refuses a bad field at once, the fast lane once the head has ended";
const whitespace = "the standard lane keeps blanks at a value's end";
const severalCodings = "the standard lane looks at the first of several Transfer-Encoding only";
const hugeChunk =
  "the fast lane refuses a chunk beyond 2^53 bytes at once; the standard lane waits for it until the timeout";

/** Cases in which the lanes differ, and why; by the title of their group and their name. Each is expected to fail. */
export const knownDifferences: ReadonlyMap<string, string> = new Map([
  ["pipelined requests: an irregular one behind a regular one", lookAhead],
  ["pipelined requests: malformed behind a regular one", lookAhead],
  ["pipelined requests: garbage behind a regular one", lookAhead],
  ["pipelined requests: garbage behind a POST", lookAhead],
  ["pipelined requests: bytes beyond a length", lookAhead],
  [
    "pipelined requests: close in the second of three",
    "the standard lane answers only the first: its parser refuses what comes behind a `Connection: close`, and that ends the connection before the second is begun",
  ],
  [
    "pipelined requests: CONNECT behind a regular one",
    "the standard lane destroys the connection, with the answer that is due",
  ],
  ["pipelined requests: Upgrade behind a regular one", "the standard lane ignores an Upgrade that waits its turn"],
  ['request bodies: framing "Content_Length: 5\\r\\n"', lookAhead],
  ['request bodies: framing "Transfer_Encoding: chunked\\r\\n"', lookAhead],
  ["request bodies: chunk extensions with blanks", blanksInExtensions],
  ["request bodies: 20 KiB of chunk extensions", refusedUpload],
  ["request bodies: trailers that may not be", refusedUpload],
  ["request bodies: 40 KiB of trailers", refusedUpload],
  ["status lines: version HTTP/2.0", versions],
  ["status lines: version HTTP/0.9", versions],
  ["response bodies: chunk extensions with blanks", blanksInExtensions],
  ["response fields: empty values and blanks", whitespace],
  ["response fields: trailing blanks", whitespace],
  ["response fields: 2,000 fields", "the fast lane refuses more than 1,024 fields"],
  ["response bodies: blanks around a length", "the standard lane counts the blanks as digits, and answers 502"],
  ["response bodies: empty and blank trailers", whitespace],
  ["response bodies: 30 KiB of chunk extensions", "the fast lane bounds chunk extensions, the standard lane does not"],
  ['responses that take their time: bad chunk "ffffffffffffffff\\r\\nhello\\r\\n"', hugeChunk],
  ['responses that take their time: bad chunk "7fffffffffffffff\\r\\nhello\\r\\n"', hugeChunk],
  [
    "response bodies: Transfer-Encoding twice",
    "the standard lane looks at the first only; chunked twice is no coding (RFC 9112 §6.1)",
  ],
  ["response bodies: Transfer-Encoding in odd case and spacing", "the standard lane keeps the blanks, and answers 502"],
  [
    "response bodies: until close, broken off",
    "the standard lane takes a reset for the end, and gives a cut body out as whole",
  ],
  ["response bodies: a head byte by byte", "the standard lane keeps only the last piece of a reason phrase"],
  ["interim responses: a 103 with Connection: close", "the standard lane answers 502"],
  ["malformed responses: malformed: an empty line first", emptyLines],
  ["malformed responses: malformed: two empty lines first", emptyLines],
  [
    "upstreams that break, stop or hurry: nobody listens, POST",
    "the fast lane logs bytes of the body as received that nobody read",
  ],
  ["requests of others: gunicorn-valid-013", blanksInExtensions],
  ["requests of others: h11-chunk-ext", blanksInExtensions],
  ["requests of others: llhttp-content-length-77", headUnended],
  ["requests of others: llhttp-content-length-102", headUnended],
  ["requests of others: llhttp-lenient-headers-36", lookAhead],
  [
    "responses of others: llhttp-resp-content-length-170",
    "the standard lane counts the blanks as digits, and answers 502",
  ],
  [
    "responses of others: llhttp-resp-content-length-170, then closed",
    "the standard lane counts the blanks as digits, and answers 502",
  ],
  ["responses of others: llhttp-resp-invalid-178", "the standard lane takes a bare CR for the end of the status line"],
  [
    "responses of others: llhttp-resp-invalid-178, then closed",
    "the standard lane takes a bare CR for the end of the status line",
  ],
  ["responses of others: llhttp-resp-sample-42", versions],
  ["responses of others: llhttp-resp-sample-42, then closed", versions],
  ["responses of others: llhttp-resp-sample-62", versions],
  ["responses of others: llhttp-resp-sample-62, then closed", versions],
  ["responses of others: llhttp-resp-sample-647", versions],
  ["responses of others: llhttp-resp-sample-647, then closed", versions],
  ["responses of others: llhttp-resp-sample-120", whitespace],
  ["responses of others: llhttp-resp-sample-120, then closed", whitespace],
  ["responses of others: llhttp-resp-sample-697", emptyLines],
  ["responses of others: llhttp-resp-sample-697, then closed", emptyLines],
  ["responses of others: llhttp-resp-transfer-encoding-76", severalCodings],
  ["responses of others: llhttp-resp-transfer-encoding-76, then closed", severalCodings],
]);
