import { compareCases } from "./compare-cases.ts";
import type { LaneConfig, Origins } from "./lane.ts";
import { type LaneCase, received, request, send } from "./lane-case.ts";

function configuration({ stable }: Origins): LaneConfig {
  return {
    top: "trustedProxies: [127.0.0.0/8]",
    services: `
  shop: { versions: { stable: { endpoints: ["${stable}"] } } }`,
    routes: `
  - { name: moved, match: { path: { prefix: /moved } }, redirect: { scheme: https, prefix: /new, status: 308 } }
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

compareCases("redirects", configuration, redirects);
