import { compareCases } from "./compare-cases.ts";
import type { LaneConfig, Origins } from "./lane.ts";
import { chunks, type LaneCase, received, request, response, responses, send, sized } from "./lane-case.ts";

function configuration({ stable, refused }: Origins): LaneConfig {
  return {
    top: `trustedProxies: [127.0.0.0/8]
exposeVersion: true
attributes:
  region: { type: string, from: [{ header: x-user-region }, { query: region }] }
releases:
  shop: { split: { stable: 1 } }
  half-dead: { split: { canary: 1 } }`,
    services: `
  shop: { versions: { stable: { endpoints: ["${stable}"] } } }
  edited:
    versions:
      stable:
        endpoints: ["${stable}"]
        requestHeaders: { add: { x-version: "\${version}" }, remove: [x-gone] }
        responseHeaders: { set: { x-served: "\${version}" } }
  half-dead:
    versions:
      stable: { endpoints: ["${stable}"], requestHeaders: { set: { x-version: stable } } }
      canary: { endpoints: ["${refused}"], requestHeaders: { set: { x-version: canary, x-canary: 1 } } }`,
    routes: `
  - name: edited
    match: { path: { prefix: /edited } }
    service: edited
    release: shop
    requestHeaders: { set: { x-region: "\${attribute.region}", x-host: "\${host} \${path}" }, add: { x-more: [a, b] } }
    responseHeaders: { set: { cache-control: "public, max-age=1" }, add: { x-more: "é" }, remove: [server, x-gone] }
  - name: half-dead
    match: { path: { prefix: /half-dead } }
    service: half-dead
    release: half-dead
  - name: rewritten
    match: { path: { prefix: /api } }
    service: shop
    rewrite: { prefix: /, host: shop.internal, cookieDomain: none }
  - { name: named, match: { path: { prefix: /named } }, service: shop, rewrite: { prefix: /v2, host: upstream } }
  - { name: moved, match: { path: { prefix: /moved } }, redirect: { scheme: https, prefix: /new, status: 308 } }
  - name: cors
    match: { path: { prefix: /cors } }
    service: shop
    release: shop
    cors: { allowOrigins: ["https://*.app.example"], allowMethods: ["*"], exposeHeaders: [x-a], allowCredentials: true }
  - { name: shop, service: shop }`,
  };
}

const regular = (name: string, line: string, fields = "", body = ""): LaneCase => ({
  name,
  client: request(line, fields, body),
  regular: true,
});

const redirects: readonly LaneCase[] = [
  regular("a redirect", "GET /moved/x?y=z"),
  regular("a redirect, HEAD", "HEAD /moved/x"),
  regular("a redirect of an upload", "POST /moved", "Content-Length: 5\r\n", "hello"),
  regular("a redirect of chunks", "PUT /moved", "Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\n\r\n"),
  {
    name: "a redirect before its upload has come, and a request behind it",
    client: [
      send(request("PUT /moved", "Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n")),
      received("Location: https://shop.example/new\r\n"),
      send(`3\r\nyou\r\n0\r\n\r\n${request("GET /moved")}`),
    ],
    methods: ["PUT", "GET"],
    regular: true,
  },
  regular("a redirect that closes", "GET /moved", "Connection: close\r\n"),
  { name: "a redirect over HTTP/1.0", client: "GET /moved HTTP/1.0\r\n\r\n" },
];

const upload = ["POST /edited/x", "X-Gone: 1\r\nX-Region: theirs\r\n"] as const;

const edits: readonly LaneCase[] = [
  regular(
    "a request whose fields are edited",
    "GET /edited/x?y",
    "X-A: 1\r\nX-Gone: 1\r\nx-user-region: east\r\nX-MORE: c\r\n",
  ),
  regular("a fact that is absent", "GET /edited", "X-Region: theirs\r\n"),
  regular("header injection by a query", "GET /edited?region=a%0d%0aX-B:%20c"),
  regular("letters of a query beyond ASCII", "GET /edited?region=%c3%bc%20", "X-A: \xfc\r\n"),
  regular("edited HEAD", "HEAD /edited/x"),
  regular("an edited upload", upload[0], `${upload[1]}Content-Length: 5\r\n`, "hello"),
  regular(
    "an edited upload in chunks",
    upload[0],
    `${upload[1]}Transfer-Encoding: chunked\r\n`,
    "2\r\nhi\r\n0\r\n\r\n",
  ),
  { name: "an edited request over HTTP/1.0", client: "GET /edited HTTP/1.0\r\nX-Gone: 1\r\n\r\n" },
  {
    name: "an edited upgrade",
    client: request(
      "GET /edited",
      "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nX-Gone: 1\r\n",
    ),
  },
  {
    name: "an edited response",
    client: request("GET /edited"),
    upstream: [
      sized(
        "x",
        "Server: a\r\nX-Gone: 1\r\nX-More: b\r\nCache-Control: no-cache\r\nx-served: theirs\r\nSet-Cookie: a=b\r\n",
      ),
    ],
    regular: true,
  },
  {
    name: "an edited response whose Connection names fields",
    client: request("GET /edited"),
    upstream: [sized("x", "Connection: close, x-served, x-more\r\nX-More: 1\r\nDate: now\r\n")],
    regular: true,
  },
  {
    name: "an edited response in chunks with trailers",
    client: request("GET /edited"),
    upstream: [response("200 OK", "Transfer-Encoding: chunked\r\n", chunks(["hi"], "X-Gone: 1\r\n"))],
    regular: true,
  },
  regular("edits of the version that serves in another's place", "GET /half-dead"),
  regular("a prefix taken away", "GET /api/x?y=z"),
  regular("all of a path taken away", "GET /api"),
  regular("another path and Host for an upload", "PUT /api/x", "Content-Length: 2\r\n", "hi"),
  {
    name: "addresses in a response",
    client: request("GET /api/x"),
    upstream: [
      sized(
        "x",
        "Location: http://shop.internal/y?z\r\nContent-Location: /w\r\nSet-Cookie: a=b; Path=/; Domain=x.example\r\n",
        "302 Found",
      ),
    ],
    regular: true,
  },
  {
    name: "a rewritten upgrade",
    client: request(
      "GET /api/x",
      "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
    ),
  },
];

const origin = "Origin: https://www.app.example\r\n";
const asks = "Access-Control-Request-Method: PUT\r\n";

const cors: readonly LaneCase[] = [
  regular("a preflight", "OPTIONS /cors/x", `${origin}${asks}`),
  regular("a preflight of another origin", "OPTIONS /cors/x", `Origin: https://evil.example\r\n${asks}`),
  regular("a preflight with two origins", "OPTIONS /cors/x", `${origin}${origin}${asks}`),
  regular("a preflight without cors", "OPTIONS /x", `${origin}${asks}`),
  regular("OPTIONS that is no preflight", "OPTIONS /cors/x", origin),
  {
    name: "a preflight with a body, and a request behind it",
    client: [
      send(`${request("OPTIONS /cors", `${origin}${asks}Content-Length: 2\r\n`, "hi")}${request("GET /cors", origin)}`),
      responses(2),
    ],
    methods: ["OPTIONS", "GET"],
  },
  { name: "a preflight over HTTP/1.0", client: `OPTIONS /cors HTTP/1.0\r\n${origin}${asks}\r\n` },
  {
    name: "a response that grants more",
    client: request("GET /cors", origin),
    upstream: [sized("x", "access-control-allow-origin: *\r\nVary: accept\r\nAccess-Control-Max-Age: 9\r\nX-A: 1\r\n")],
    regular: true,
  },
  {
    name: "a response that varies by all",
    client: request("GET /cors"),
    upstream: [sized("x", "Vary: *\r\n")],
    regular: true,
  },
  {
    name: "an upstream that breaks off",
    client: request("GET /cors", origin),
    upstream: ["HTTP/1.1 nonsense\r\n\r\n"],
  },
  { name: "an upgrade", client: request("GET /cors", `${origin}Connection: upgrade\r\nUpgrade: websocket\r\n`) },
];

compareCases("redirects", configuration, redirects);
compareCases("cors", configuration, cors);
compareCases("edits and rewrites", configuration, edits);
