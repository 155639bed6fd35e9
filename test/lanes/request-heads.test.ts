/** @module-tag slow */
import { compareCases } from "./compare-cases.ts";
import { limited, signedPin, trusting, untrusting } from "./configurations.ts";
import { answer, closed, type LaneCase, request, response, responses, send, sized } from "./lane-case.ts";

const nowSeconds = Math.floor(Date.now() / 1000);
/** The unit of user-17 is its digest; any other bytes would do for a pin. */
const anyUnit = "rAAECAwQFBgc";
const pinOf = (version: string, { epoch = 1, at = nowSeconds, how = "s", release = "shop", unit = anyUnit } = {}) =>
  signedPin(`1.${epoch}.${at}.${version}.${how}.${unit}`, release);

/** A plain request with these fields, served by the fast lane. */
const regular = (name: string, fields: string, line = "GET /"): LaneCase => ({
  name,
  client: request(line, fields),
  regular: true,
});
const odd = (name: string, fields: string, line = "GET /"): LaneCase => ({ name, client: request(line, fields) });

const bytes = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => String.fromCharCode(from + i)).join("");

const targets: readonly LaneCase[] = [
  ...[
    "/",
    "/a/b?c=d&e",
    "/?",
    "/a%20b%2Fc?%3F=%26",
    "//double//slashes",
    "/x/../a/.//%62/%2e",
    "/a;b=c,d!$&'()*+@:~",
    "/plain/x?user=7&region=cn-east",
    "/written",
    `/${"x".repeat(4000)}`,
  ].map((target) => regular(`target ${target.slice(0, 40)}`, "", `GET ${target}`)),
  ...[
    "http://shop.example/x?y",
    "HTTP://Shop.Example:80?y",
    "https://other.example",
    "http://other.example:8080/a",
    "http://u@shop.example/",
    "http://shop.example/a#b",
    "ftp://shop.example/",
    "/a#b",
    "/../a",
    "/a/..%2fb",
    "/plain%2Fx",
    "/%2f%2f",
    "/a b",
    '/a"b<c>d',
    "/a\\b^c`d{e|f}",
    "/caf\xe9",
    "/\x7f",
    "*",
    "shop",
    "",
    "?a=b",
    "[::1]:80",
  ].map((target) => odd(`target ${JSON.stringify(target)}`, "", `GET ${target}`)),
  odd("OPTIONS of everything", "", "OPTIONS *"),
  odd("an absolute target of OPTIONS", "", "OPTIONS http://shop.example"),
  odd("CONNECT", "", "CONNECT shop.example:443"),
  odd("CONNECT with a path", "", "CONNECT /"),
];

const methods: readonly LaneCase[] = [
  ...["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].map((method) =>
    regular(`method ${method}`, "", `${method} /x`),
  ),
  ...[
    "TRACE",
    "PROPFIND",
    "QUERY",
    "SEARCH",
    "MKCOL",
    "PURGE",
    "get",
    "Get",
    "FOO",
    "G",
    "GE",
    "GETT",
    "PRI",
    "SOURCE",
  ].map((method) => odd(`method ${method}`, "", `${method} /x`)),
  ...["M-SEARCH", "PROPPATCH", "LINK", "VERSION-CONTROL", "A!#$%&'*+-.^_`|~"].map((method) =>
    odd(`method ${method}`, "", `${method} /x`),
  ),
];

const versions: readonly LaneCase[] = [
  { name: "HTTP/1.0", client: [send("GET / HTTP/1.0\r\nHost: shop.example\r\n\r\n"), closed] },
  { name: "HTTP/1.0 without a Host", client: [send("GET /plain HTTP/1.0\r\n\r\n"), closed] },
  {
    name: "HTTP/1.0 that asks to be kept",
    client: [
      send("GET / HTTP/1.0\r\nHost: shop.example\r\nConnection: keep-alive\r\n\r\n"),
      { responses: 1 },
      send("GET / HTTP/1.0\r\nHost: shop.example\r\n\r\n"),
      closed,
    ],
  },
  {
    name: "HTTP/1.0 that asks to be kept, and a response without a length",
    client: [send("GET / HTTP/1.0\r\nHost: shop.example\r\nConnection: keep-alive\r\n\r\n"), closed],
    upstream: ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"],
  },
  {
    name: "HTTP/1.0 and a chunked response with trailers and hints",
    client: [send("GET / HTTP/1.0\r\nHost: shop.example\r\n\r\n"), closed],
    upstream: [
      `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n2\r\nhi\r\n0\r\nX: 1\r\n\r\n`,
    ],
  },
  ...["HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP/1.01", "http/1.1", "HTTP/11", "HTTP/1", "HTTPS/1.1", "ICE/1.0", ""].map(
    (version): LaneCase => ({ name: `version ${version}`, client: `GET / ${version}\r\nHost: shop.example\r\n\r\n` }),
  ),
  { name: "no version at all", client: "GET /\r\n\r\n" },
  { name: "the h2 preface", client: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" },
  { name: "a TLS hello", client: "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" },
];

const fields: readonly LaneCase[] = [
  regular("fields in order and case", "X-One: 1\r\nx-ONE: 2\r\naccept: */*\r\nX-One: 3\r\n"),
  odd("an empty value", "X-Empty:\r\nX-Empty-Too: \r\n"),
  odd("an empty value alone", "X-Empty: \r\n"),
  regular("blanks and tabs in a value", "X-A: a  b\tc\r\n"),
  odd("no blank before a value", "X-A:a\r\nX-B:b\r\n"),
  odd("blanks and tabs around values", "X-A:  a\r\nX-B: b  \r\nX-C:\tc\t\r\nX-D: \t d \t \r\n"),
  odd("nothing but blanks for a value", "X-A:   \r\nX-B:\t\r\n"),
  regular("obs-text in a value", `X-A: ${bytes(0x80, 0xff)}\r\nX-B: caf\xc3\xa9\r\n`),
  regular("every visible byte in a value", `X-A: ${bytes(0x21, 0x7e)}\r\n`),
  regular("odd tokens for names", "!#$%&'*+-.^_`|~0: 1\r\n1: 2\r\n-: 3\r\n"),
  regular("names that look special", "constructor: 1\r\n__proto__: 2\r\ntoString: 3\r\nhasOwnProperty: 4\r\n"),
  regular(
    "names with underscores",
    "X_Forwarded_For: 9.9.9.9\r\nx_user_region: cn-east\r\nX_Other: 1\r\nCONTENT_LENGTH: 5\r\n",
  ),
  regular(
    "names like those that Perch knows, but longer",
    "Hostx: a\r\nCookies: b\r\nConnection2: c\r\nx-cookie: d\r\nViaa: e\r\n",
  ),
  regular("names in odd case", "hOST2: a\r\nCOOKIE: a=b\r\nUSER-AGENT: x\r\ncoNTENT-tYPE: y\r\n"),
  {
    name: "a Host in odd case and last",
    client: "GET / HTTP/1.1\r\nX-A: 1\r\nhOsT: shop.example\r\n\r\n",
    regular: true,
  },
  regular(
    "hop-by-hop fields",
    "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nTE: trailers\r\nTrailer: X-A\r\nProxy-Authenticate: y\r\n",
  ),
  odd("HTTP2-Settings", "HTTP2-Settings: x\r\n"),
  odd("Upgrade", "Upgrade: h2c\r\n"),
  odd(
    "Upgrade to h2c as curl asks for it",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
  ),
  odd(
    "a WebSocket that the upstream refuses",
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
  ),
  regular("Connection: keep-alive", "Connection: keep-alive\r\n"),
  regular("Connection: Keep-Alive", "Connection: Keep-Alive\r\n"),
  ...["close", "Close", "CLOSE"].map(
    (value): LaneCase => ({
      name: `Connection: ${value}`,
      client: [send(request("GET /", `Connection: ${value}\r\n`)), closed],
      regular: true,
    }),
  ),
  ...["close, X-A", "close,close", "keep-alive, close", "close, keep-alive"].map(
    (value): LaneCase => ({
      name: `Connection: ${value}`,
      client: [send(request("GET /", `Connection: ${value}\r\nX-A: 1\r\n`)), closed],
    }),
  ),
  odd(
    "Connection names fields",
    "Connection: X-Secret, x-b,, Cookie, x-user-id, X-Forwarded-For, Host\r\nX-Secret: s\r\nX-B: b\r\nX-C: c\r\nCookie: a=b\r\nX-User-Id: u\r\n",
  ),
  odd("Connection in two lines", "Connection: X-A\r\nConnection: X-B\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\n"),
  {
    name: "Connection: close, then keep-alive",
    client: [send(request("GET /", "Connection: close\r\nConnection: keep-alive\r\n")), closed],
  },
  {
    name: "Connection: keep-alive, then close",
    client: [send(request("GET /", "Connection: keep-alive\r\nConnection: close\r\n")), closed],
  },
  odd("Connection: empty", "Connection:\r\n"),
  odd("Connection: a comma", "Connection: ,\r\n"),
  odd("Connection: nonsense", "Connection: a b; c\r\n"),
  odd("Connection: content-length", "Connection: content-length, transfer-encoding\r\n"),
  regular("Via of one line", "Via: 1.0 fred, 1.1 p.example\r\n"),
  regular("Via of several lines", "Via: 1.0 one\r\nX-A: 1\r\nvia: 1.1 two\r\nVia: 1.1 three\r\n"),
  odd("an empty Via", "Via:\r\n"),
  regular(
    "forwarding fields",
    "X-Forwarded-For: 9.9.9.9, 8.8.8.8\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: public.example\r\nX-Forwarded-Port: 8443\r\nX-Real-IP: 9.9.9.9\r\nX-Forwarded-Prefix: /p\r\nForwarded: for=9.9.9.9;proto=https\r\n",
  ),
  regular(
    "forwarding fields that are malformed",
    'X-Forwarded-For: nonsense\xe9\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Host: a b\r\nX-Forwarded-Port: 99999\r\nForwarded: for="x\r\n',
  ),
  regular(
    "forwarding fields twice",
    "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\nX-Forwarded-Host: b\r\nForwarded: for=1.1.1.1\r\nForwarded: for=2.2.2.2\r\n",
  ),
  odd(
    "empty forwarding fields",
    "X-Forwarded-For:\r\nX-Forwarded-Proto:\r\nX-Forwarded-Host:\r\nX-Forwarded-Port:\r\nForwarded:\r\n",
  ),
  regular("a request id", "X-Request-Id: abc-123\r\n"),
  regular("a request id that is too long", `X-Request-Id: ${"a".repeat(129)}\r\n`),
  regular("a request id that is none", "X-Request-Id: a b\r\n"),
  regular("two request ids", "X-Request-Id: a\r\nX-Request-Id: b\r\n"),
  regular("100 fields", Array.from({ length: 99 }, (_, i) => `X-${i}: ${i}\r\n`).join("")),
  odd("101 fields", Array.from({ length: 100 }, (_, i) => `X-${i}: ${i}\r\n`).join("")),
  regular("a head of 30 KiB in one field", `X-Long: ${"x".repeat(30_000)}\r\n`),
  regular(
    "a head of 30 KiB in many fields",
    Array.from({ length: 90 }, (_, i) => `X-${i}: ${"y".repeat(320)}\r\n`).join(""),
  ),
  odd("a head of 40 KiB", `X-Long: ${"x".repeat(40_000)}\r\n`),
  ...Array.from({ length: 12 }, (_, i) => 32 * 1024 - 60 + i * 10).map((length) =>
    odd(`a head of nearly 32 KiB, ${length}`, `X-L: ${"x".repeat(length)}\r\n`),
  ),
  odd("Expect: 100-continue without a body", "Expect: 100-continue\r\n"),
  odd("an unknown expectation", "Expect: miracles\r\n"),
  odd("two expectations", "Expect: 100-continue\r\nExpect: 100-continue\r\n"),
  {
    name: "Accept: json and no route",
    client: "GET / HTTP/1.1\r\nHost: nobody.example\r\nAccept: application/json\r\n\r\n",
  },
  { name: "no route", client: "GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n" },
  { name: "no route for HEAD", client: "HEAD / HTTP/1.1\r\nHost: nobody.example\r\n\r\n" },
  {
    name: "no route, then one, on one connection",
    client: [
      send("GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n"),
      responses(1),
      send(request("GET /plain")),
      responses(2),
    ],
  },
  {
    name: "no route, with a body",
    client: "POST / HTTP/1.1\r\nHost: nobody.example\r\nContent-Length: 5\r\n\r\nhello",
  },
];

const hosts: readonly LaneCase[] = [
  ...[
    "shop.example",
    "SHOP.example",
    "shop.example.",
    "shop.example:80",
    "shop.example:",
    "shop.example:8080",
    "other.example",
    "a.wild.example",
    "wild.example",
    "127.0.0.1",
  ].map((host): LaneCase => ({ name: `Host: ${host}`, client: `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n` })),
  ...[
    "",
    "a b",
    "u@shop.example",
    "shop.example:x",
    "shop.example:99999",
    "[::1]",
    "[::1",
    "a,b",
    "a..b",
    ".a",
    "shop.example/x",
    "caf\xe9",
    "a\tb",
    "a?b",
    "%61",
    "shop.example, shop.example",
  ].map(
    (host): LaneCase => ({
      name: `odd Host: ${JSON.stringify(host)}`,
      client: `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    }),
  ),
  { name: "no Host", client: "GET / HTTP/1.1\r\n\r\n" },
  { name: "no Host but others", client: "GET / HTTP/1.1\r\nX-A: 1\r\n\r\n" },
  { name: "two Hosts", client: request("GET /", "Host: shop.example\r\n") },
  { name: "two Hosts that differ", client: request("GET /", "Host: other.example\r\n") },
  { name: "blanks around the Host", client: "GET / HTTP/1.1\r\nHost: \t shop.example \t \r\n\r\n" },
  { name: "no blank before the Host", client: "GET / HTTP/1.1\r\nHost:shop.example\r\n\r\n" },
  {
    name: "an absolute target and a Host that is none",
    client: "GET http://shop.example/ HTTP/1.1\r\nHost: a b\r\n\r\n",
  },
  { name: "an absolute target without a Host", client: "GET http://shop.example/ HTTP/1.1\r\n\r\n" },
];

const decided: readonly LaneCase[] = [
  regular("the header that routes", "X-Api: 1\r\n"),
  regular("a route by method", "", "POST /written"),
  regular("a user", "X-User-Id: user-17\r\n"),
  regular("a user by cookie", "Cookie: uid=user-17\r\n"),
  regular("a user by query", "", "GET /?user=user-17&a=b"),
  regular("a user by query alone", "", "GET /?user=user-17"),
  regular("a user by an escaped name in the query", "", "GET /?us%65r=user-17&a=b"),
  regular("a user by a name in the query with a plus", "", "GET /?us+er=user-17&user=user-18"),
  regular("two users", "X-User-Id: user-17\r\nX-User-Id: user-18\r\n"),
  odd("an empty user", "X-User-Id:\r\n"),
  regular("a user in obs-text", "X-User-Id: caf\xe9\r\n"),
  regular("a user in UTF-8", "X-User-Id: caf\xc3\xa9\r\n"),
  ...Array.from({ length: 8 }, (_, i) => regular(`a drawn user, ${i}`, `X-User-Id: user-${i}\r\n`, "GET /drawn")),
  regular("a rule by header", "X-User-Region: cn-east\r\n"),
  regular("a rule by query", "", "GET /?region=cn-south"),
  regular("a rule by an escaped name in the query", "", "GET /?r%65gion=cn-south"),
  regular("a rule by version", "X-App-Version: 4.1.0\r\n"),
  regular("a version that does not parse", "X-App-Version: four\r\n"),
  regular("a cookie that only proxies may set", "Cookie: a=b; vip=true; c=d\r\n"),
  regular("an override", "X-Perch-Version: canary\r\n"),
  regular("an override by cookie", "Cookie: a=b; perch-version=canary; c=d\r\n"),
  regular("an override of nothing", "X-Perch-Version: v9\r\n"),
  regular("two overrides", "X-Perch-Version: canary\r\nX-Perch-Version: stable\r\n"),
  regular("a pin", `Cookie: perch-shop=${pinOf("stable")}\r\n`),
  regular("a pin among others", `Cookie: a=b; perch-shop=${pinOf("stable")}; c=d\r\n`),
  regular("a pin in a second line", `Cookie: a=b\r\nX-A: 1\r\nCookie: perch-shop=${pinOf("stable")}\r\n`),
  regular("Cookie lines that leave nothing", `Cookie: perch-shop=${pinOf("stable")}\r\nCookie: perch-version=x\r\n`),
  odd("Cookie lines, empty ones too", "Cookie: a=b\r\nCookie:\r\nCookie: c=d;\r\n"),
  regular("cookies in odd shape", 'Cookie: ;; a ; =b; c="d; e"; perch-shop = x ;\r\n'),
  regular(
    "pins of several releases",
    `Cookie: perch-shop=${pinOf("stable")}; perch-drawn=${pinOf("canary", { epoch: 3, release: "drawn" })}\r\n`,
  ),
  regular("a held pin", `Cookie: perch-drawn=${pinOf("canary", { epoch: 3, release: "drawn" })}\r\n`, "GET /drawn"),
  regular(
    "a held pin of an older epoch",
    `Cookie: perch-drawn=${pinOf("canary", { epoch: 2, release: "drawn" })}\r\n`,
    "GET /drawn",
  ),
  regular("a pin of a newer epoch", `Cookie: perch-shop=${pinOf("stable", { epoch: 7 })}\r\n`),
  regular("a pin that a rule set", `Cookie: perch-shop=${pinOf("canary", { how: "r-east" })}\r\n`),
  regular("a forged pin", `Cookie: perch-shop=${pinOf("canary").slice(0, -1)}A\r\n`),
  regular("a malformed pin", "Cookie: perch-shop=1.2.3\r\n"),
  regular("an oversized pin", `Cookie: perch-shop=${"x".repeat(3000)}\r\n`),
  regular("an expired pin", `Cookie: perch-shop=${pinOf("canary", { at: 1_600_000_000 })}\r\n`),
  regular("a pin past half its life", `Cookie: perch-shop=${pinOf("stable", { at: nowSeconds - 20 * 86_400 })}\r\n`),
  regular("two pins, the first forged", `Cookie: perch-shop=1.1.1.a.s.rx.y; perch-shop=${pinOf("stable")}\r\n`),
  regular("a pin and a user", `Cookie: perch-shop=${pinOf("stable")}\r\nX-User-Id: user-3\r\n`),
  regular("https by the proxy's word", "X-Forwarded-Proto: https\r\n"),
  {
    name: "a pin and Cache-Control",
    client: request(),
    upstream: [
      sized(
        "x",
        'Cache-Control: public, max-age=60\r\ncache-control: no-cache="a, b"\r\nCDN-Cache-Control: max-age=9\r\nSurrogate-Control: x\r\n',
      ),
    ],
    regular: true,
  },
  {
    name: "no pin and Cache-Control",
    client: request("GET /plain"),
    upstream: [
      sized(
        "x",
        "Cache-Control: public, max-age=60\r\nCDN-Cache-Control: max-age=9\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n",
      ),
    ],
    regular: true,
  },
  {
    name: "an upstream that sets cookies and a version of its own",
    client: request(),
    upstream: [
      answer(
        send(
          response(
            "200 OK",
            "Set-Cookie: a=b\r\nx-perch-version: mine\r\nX-PERCH-VERSION: too\r\nCache-Control: private\r\nContent-Length: 0\r\n",
          ),
        ),
      ),
    ],
    regular: true,
  },
];

compareCases("request targets, methods and versions", trusting, [...targets, ...methods, ...versions]);
compareCases("request fields", trusting, [...fields, ...hosts]);
compareCases("decisions", trusting, decided);
compareCases("requests of strangers", untrusting, [...fields, ...decided]);
compareCases("small limits", limited, [
  ...targets.map((target) => ({ ...target, regular: false })),
  ...[11, 12, 13, 20].map((count) => odd(`${count} fields`, "X-A: 1\r\n".repeat(count - 1))),
  ...[900, 950, 980, 990, 1000, 1010, 1024, 2000].map((size) =>
    odd(`a head of about ${size}`, `X-A: ${"x".repeat(size - 40)}\r\n`),
  ),
]);
