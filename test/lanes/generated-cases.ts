import fc, { type Arbitrary } from "fast-check";
import { answer, type ClientStep, cut, type LaneCase, responses, send } from "./lane-case.ts";

/** Random cases; the same seed makes the same cases. */

const tokenCharacters = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const visible = Array.from({ length: 0x7e - 0x20 }, (_, i) => String.fromCharCode(0x21 + i));
const obsText = Array.from({ length: 0x80 }, (_, i) => String.fromCharCode(0x80 + i));

const textOf = (characters: readonly string[], maxLength: number, minLength = 0) =>
  fc.string({ unit: fc.constantFrom(...characters), minLength, maxLength });

const token = textOf([...tokenCharacters], 20, 1);
/** Without blanks at either end. */
const value = fc
  .tuple(textOf([...visible, ...obsText], 1, 1), textOf([...visible, ...obsText, " ", "\t"], 60), textOf(visible, 1, 1))
  .map((parts) => parts.join(""));
const line = fc.tuple(token, value).map(([name, text]) => `${name}: ${text}\r\n`);

/** Names that are not generated, since they change the framing or the connection. */
const framing =
  /^(?:connection|content-length|transfer-encoding|upgrade|expect|host|http2-settings|trailer|keep-alive|link|date):/i;
const anyField = line.filter((text) => !framing.test(text));

const requestField = fc.oneof(
  { weight: 4, arbitrary: anyField },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      "Accept: */*\r\n",
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n",
      "Cookie: a=b; perch-shop=1.1.1.x.s.ry.z; c=d\r\n",
      "Cookie: uid=user-9\r\n",
      "cookie: perch-version=canary\r\n",
      "X-User-Id: user-17\r\n",
      "X-User-Region: cn-east\r\n",
      "X-App-Version: 4.2\r\n",
      "X-Forwarded-For: 9.9.9.9\r\n",
      "X-Forwarded-Proto: https\r\n",
      "Via: 1.0 a\r\n",
      "X-Request-Id: id-1\r\n",
      "X-Api: 1\r\n",
      "Connection: keep-alive\r\n",
      "Keep-Alive: timeout=5\r\n",
      "TE: trailers\r\n",
      "X_Forwarded_Host: evil\r\n",
      "Authorization: Bearer x\r\n",
      "X-Perch-Release: shop=canary, other=v2\r\n",
      "Baggage: a=1 , perch.shop=canary;p\r\n",
      "baggage: b=%20,,caf\xe9\r\n",
      "X-Empty:\r\n",
      "X-Wide:   a   \r\n",
      "Connection: x-gone\r\nX-Gone: 1\r\n",
    ),
  },
);

const path = fc.oneof(
  fc.constantFrom("/", "/plain", "/plain/a?b=c", "/written", "/?region=cn-south", "/?user=u1&a=b"),
  textOf(
    visible.filter((character) => !'#"<>\\^`{|}'.includes(character)),
    40,
  ).map((text) => `/plain/${text}`),
);

interface MadeRequest {
  readonly method: string;
  readonly bytes: string;
}

const body = textOf([...visible, ...obsText, "\r", "\n", "\0", " "], 300);

function chunked(text: string, sizes: readonly number[]): string {
  let out = "";
  let at = 0;
  for (const size of sizes) {
    const part = text.slice(at, at + size);
    if (part === "") break;
    out += `${part.length.toString(16)}\r\n${part}\r\n`;
    at += size;
  }
  const rest = text.slice(at);
  if (rest !== "") out += `${rest.length.toString(16)}\r\n${rest}\r\n`;
  return out;
}
const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 8 });

const request: Arbitrary<MadeRequest> = fc
  .record({
    method: fc.constantFrom("GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
    target: path,
    fields: fc.array(requestField, { maxLength: 12 }),
    framing: fc.constantFrom("none", "length", "chunked"),
    body,
    sizes,
    trailers: fc.array(anyField, { maxLength: 2 }),
    hostAt: fc.nat(12),
  })
  .map(({ method, target, fields, framing, body, sizes, trailers, hostAt }) => {
    const lines = fields.toSpliced(hostAt, 0, "Host: shop.example\r\n");
    let content = "";
    if (framing === "length") {
      lines.push(`Content-Length: ${body.length}\r\n`);
      content = body;
    } else if (framing === "chunked") {
      lines.push("Transfer-Encoding: chunked\r\n");
      content = `${chunked(body, sizes)}0\r\n${trailers.join("")}\r\n`;
    }
    return { method, bytes: `${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n${content}` };
  });

const responseField = fc.oneof(
  { weight: 3, arbitrary: anyField },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      "Content-Type: text/html\r\n",
      "Set-Cookie: a=b\r\n",
      "Cache-Control: public, max-age=60\r\n",
      "cache-control: no-store\r\n",
      "CDN-Cache-Control: max-age=9\r\n",
      "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
      "Connection: keep-alive\r\n",
      "Connection: close\r\n",
      "Connection: x-gone\r\nX-Gone: 1\r\n",
      "Keep-Alive: timeout=9\r\n",
      "Proxy-Authenticate: x\r\n",
      "x-perch-version: theirs\r\n",
      "X-Empty:\r\n",
    ),
  },
);

const madeResponse = fc.record({
  interim: fc.array(
    fc.constantFrom(
      "HTTP/1.1 102 Processing\r\n\r\n",
      "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n",
      "HTTP/1.1 104 Later\r\nX-A: 1\r\n\r\n",
    ),
    { maxLength: 2 },
  ),
  status: fc.constantFrom("200 OK", "200 OK", "201 Created", "204 No Content", "304 Not Modified", "404 ", "500 Oh No"),
  fields: fc.array(responseField, { maxLength: 10 }),
  framing: fc.constantFrom("length", "length", "chunked", "until close"),
  body,
  sizes,
  trailers: fc.array(anyField, { maxLength: 2 }),
  cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 }),
});

type MadeResponse = typeof madeResponse extends Arbitrary<infer Made> ? Made : never;

/** The response as bytes, for a request with this method. */
function responseBytes(made: MadeResponse, method: string): { bytes: string; closing: boolean } {
  const { interim, status, fields, framing, body, sizes, trailers } = made;
  const bodiless = method === "HEAD" || status.startsWith("204") || status.startsWith("304");
  const lines = [...fields];
  let content = "";
  if (framing === "length") {
    if (!status.startsWith("204")) lines.push(`Content-Length: ${body.length}\r\n`);
    content = body;
  } else if (framing === "chunked") {
    if (!bodiless) lines.push("Transfer-Encoding: chunked\r\n");
    content = `${chunked(body, sizes)}0\r\n${trailers.join("")}\r\n`;
  } else content = body;
  const head = `${interim.join("")}HTTP/1.1 ${status}\r\n${lines.join("")}\r\n`;
  const closing = (framing === "until close" && !bodiless) || lines.includes("Connection: close\r\n");
  return { bytes: bodiless ? head : head + content, closing };
}

/** Positions in a string, from shares of its length. */
const positions = (shares: readonly number[], length: number) =>
  [...new Set(shares.map((share) => Math.floor(share * length)))]
    .filter((at) => at > 0 && at < length)
    .sort((a, b) => a - b);

const shares = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 });

/** One to four well-formed requests, one after the other or pipelined, and well-formed responses, cut anywhere. */
export const wellFormed: Arbitrary<LaneCase> = fc
  .record({
    exchanges: fc.array(fc.tuple(request, madeResponse), { minLength: 1, maxLength: 4 }),
    pipelined: fc.boolean(),
    cuts: shares,
  })
  .map(({ exchanges, pipelined, cuts }): LaneCase => {
    const client: ClientStep[] = [];
    if (pipelined) {
      const bytes = exchanges.map(([{ bytes }]) => bytes).join("");
      client.push(...cut(bytes, ...positions(cuts, bytes.length)), responses(exchanges.length));
    } else {
      for (const [index, [{ bytes }]] of exchanges.entries()) {
        client.push(...cut(bytes, ...positions(cuts, bytes.length)), responses(index + 1));
      }
    }
    const upstream = exchanges.map(([{ method }, made]) => {
      const { bytes, closing } = responseBytes(made, method);
      const sent = cut(bytes, ...positions(made.cuts, bytes.length));
      return answer(...sent, ...(closing ? [{ do: "end" } as const] : []));
    });
    return { name: "well-formed", client, upstream, methods: exchanges.map(([{ method }]) => method), loose: "reason" };
  });

const oddByte = fc.constantFrom(
  "\r",
  "\n",
  "\r\n",
  " ",
  "\t",
  "\0",
  ":",
  ";",
  ",",
  "0",
  "1",
  "a",
  "\x7f",
  "\x80",
  "\xff",
  "-",
  "+",
  "\x0b",
  '"',
  "#",
  "/",
  "%",
  "H",
);

/** Changes a string: bytes inserted, removed, replaced or doubled. */
function changed(bytes: string, changes: readonly (readonly [share: number, kind: string, byte: string])[]): string {
  let out = bytes;
  for (const [share, kind, byte] of changes) {
    const at = Math.floor(share * out.length);
    const line = out.indexOf("\r\n", at);
    if (kind === "insert") out = out.slice(0, at) + byte + out.slice(at);
    else if (kind === "remove") out = out.slice(0, at) + out.slice(at + 1);
    else if (kind === "replace") out = out.slice(0, at) + byte + out.slice(at + 1);
    else if (line > 0) out = out.slice(0, line + 2) + out.slice(out.lastIndexOf("\r\n", line - 1) + 2);
  }
  return out;
}

const changes = fc.array(
  fc.tuple(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.constantFrom("insert", "remove", "replace", "double"),
    oddByte,
  ),
  { minLength: 1, maxLength: 3 },
);

const suspicious = fc.constantFrom(
  "Content-Length: 5\r\n",
  "Content-Length: 0\r\n",
  "Transfer-Encoding: chunked\r\n",
  "transfer-encoding: Chunked\r\n",
  "Host: other.example\r\n",
  "Connection: close\r\n",
  "Expect: 100-continue\r\n",
  "Upgrade: h2c\r\n",
  "X : 1\r\n",
  " folded\r\n",
  "X: a\nY: b\r\n",
);

/** A request that is nearly well-formed. An empty line follows, so that a head without its end still ends. */
export const nearMissRequest: Arbitrary<LaneCase> = fc
  .record({ request, changes, suspicious: fc.array(suspicious, { maxLength: 1 }), cuts: shares })
  .map(({ request: { method, bytes }, changes, suspicious, cuts }): LaneCase => {
    const lineEnd = bytes.indexOf("\r\n") + 2;
    const text = `${changed(bytes.slice(0, lineEnd) + suspicious.join("") + bytes.slice(lineEnd), changes)}\r\n\r\n`;
    const client = cut(text, ...positions(cuts, text.length));
    return { name: "near-miss request", client, methods: [method], loose: "partial bodies", lingers: true };
  });

/** A response that is nearly well-formed. */
export const nearMissResponse: Arbitrary<LaneCase> = fc
  .record({ response: madeResponse, changes })
  .map(({ response, changes }): LaneCase => {
    const { bytes } = responseBytes(response, "GET");
    const text = changed(bytes, changes);
    const sent = answer(...cut(text, ...positions(response.cuts, text.length)), { do: "end" });
    return {
      name: "near-miss response",
      client: [send("GET /plain HTTP/1.1\r\nHost: shop.example\r\n\r\n")],
      upstream: [sent, sent],
      loose: "partial bodies",
    };
  });
