import { describe, expect, it } from "vitest";
import { type Pasted, parseRequest } from "../../src/dashboard/pages/explain/parse-request.ts";
import type { PastedRequest } from "../../src/dashboard/pages/explain/pasted-request.ts";

function requestOf(text: string): PastedRequest {
  const pasted = parseRequest(text);
  if (pasted.kind !== "request") throw new TypeError(`${text} is ${JSON.stringify(pasted)}`);
  return pasted.request;
}

const chromium = String.raw`curl 'https://shop.example.com/cart?item=7' \
  -H 'accept: text/html,application/xhtml+xml' \
  -H 'accept-language: de-DE,de;q=0.9' \
  -b 'perch_shop=v1.canary.abc; theme=dark' \
  -H 'priority: u=0, i' \
  -H 'sec-ch-ua: "Chromium";v="131", "Not_A Brand";v="24"' \
  -H 'user-agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/131.0.0.0'`;

const chromiumPost = String.raw`curl 'https://shop.example.com/api/orders' \
  -H 'content-type: application/json' \
  -H 'x-name: a'\''b' \
  --data-raw $'{"note":"it\'s \u0021"}' \
  --compressed`;

const firefox = String.raw`curl 'https://shop.example.com/cart' --compressed -X POST -H 'User-Agent: Mozilla/5.0 Firefox/128.0' -H 'Accept-Encoding: gzip, deflate, br, zstd' -H $'X-Greeting: hello\u0021' -H 'Cookie: a=b; c=d' --data-raw ''`;

const cmd =
  'curl ^"https://shop.example.com/cart?a=1^&b=2^" ^\r\n  -H ^"accept: */*^" ^\r\n  -H ^"x-q: ^\\^"quoted^\\^"^"';

const table: readonly (readonly [sentence: string, text: string, wanted: Partial<PastedRequest>])[] = [
  [
    "Chromium's copy as cURL",
    chromium,
    {
      form: "curl",
      method: "GET",
      url: "https://shop.example.com/cart?item=7",
      headers: [
        ["accept", "text/html,application/xhtml+xml"],
        ["accept-language", "de-DE,de;q=0.9"],
        ["priority", "u=0, i"],
        ["sec-ch-ua", '"Chromium";v="131", "Not_A Brand";v="24"'],
        ["user-agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/131.0.0.0"],
      ],
      cookies: ["perch_shop=v1.canary.abc; theme=dark"],
      notes: [],
    },
  ],
  [
    "Chromium's with a body and quotes in quotes",
    chromiumPost,
    {
      method: "POST",
      headers: [
        ["content-type", "application/json"],
        ["x-name", "a'b"],
        ["accept-encoding", "deflate, gzip, br, zstd"],
      ],
      notes: [{ kind: "body-left-out", names: [] }],
    },
  ],
  [
    "Firefox's copy as cURL",
    firefox,
    {
      method: "POST",
      headers: [
        ["user-agent", "Mozilla/5.0 Firefox/128.0"],
        ["accept-encoding", "gzip, deflate, br, zstd"],
        ["x-greeting", "hello!"],
        ["content-type", "application/x-www-form-urlencoded"],
      ],
      cookies: ["a=b; c=d"],
    },
  ],
  [
    "Chromium's copy as cURL for Windows",
    cmd,
    {
      url: "https://shop.example.com/cart?a=1&b=2",
      headers: [
        ["accept", "*/*"],
        ["x-q", '"quoted"'],
      ],
      notes: [],
    },
  ],
  [
    "short options written together, after a prompt",
    "$ curl -sSLXDELETE -Ha:b -A me -e 'http://from.example/;auto' -u aladdin:sesame --url http://a.example",
    {
      method: "DELETE",
      url: "http://a.example/",
      headers: [
        ["a", "b"],
        ["user-agent", "me"],
        ["referer", "http://from.example/"],
        ["authorization", "Basic YWxhZGRpbjpzZXNhbWU="],
      ],
      notes: [],
    },
  ],
  [
    "-G puts the data into the query",
    "curl -G a.example/x -d q=1 --data-urlencode 'w=a b'",
    { method: "GET", url: "http://a.example/x?q=1&w=a%20b", headers: [] },
  ],
  ["-I asks for the head", "curl -I https://a.example", { method: "HEAD" }],
  [
    "Host stands for the URL's host",
    "curl https://10.0.0.1:8443/x -H 'Host: shop.example'",
    { url: "https://shop.example/x", headers: [] },
  ],
  [
    "a user in the URL is a header",
    "curl http://u:p%40@a.example/",
    { url: "http://a.example/", headers: [["authorization", "Basic dTpwQA=="]] },
  ],
  [
    "a fragment is not sent, other letters are encoded",
    "curl 'https://a.example/ü#top'",
    { url: "https://a.example/%C3%BC" },
  ],
  [
    "a header that curl takes away",
    "curl -d x -H 'Content-Type:' -H 'X-Empty;' a.example",
    { headers: [["x-empty", ""]] },
  ],
  ["a web socket begins as a request", "curl 'wss://a.example/live'", { url: "https://a.example/live" }],
  [
    "lines that lost their backslashes",
    "curl http://a.example\n  -H 'a: b'\n  -H 'c: d'",
    {
      headers: [
        ["a", "b"],
        ["c", "d"],
      ],
      notes: [],
    },
  ],
  [
    "options that nobody knows are named, with what looks like their values",
    "curl --frobnicate high http://a.example --constructor -H 'a: b'",
    {
      url: "http://a.example/",
      headers: [["a", "b"]],
      notes: [{ kind: "unknown-options", names: ["--frobnicate", "--constructor"] }],
    },
  ],
  [
    "options without an effect are passed over",
    "curl -o /dev/null --max-time 5 -k --resolve a:80:127.0.0.1 http://a.example",
    { url: "http://a.example/", notes: [] },
  ],
  [
    "files are not read",
    "curl -b jar.txt -H @more -K rc -d @body http://a.example",
    { cookies: [], notes: [{ kind: "files-not-read", names: ["-b", "-H", "-K", "-d"] }] },
  ],
  [
    "nothing is expanded or run",
    'curl "http://a.example/$(reboot)" -H "a: `id`"',
    { url: "http://a.example/$(reboot)", headers: [["a", "`id`"]], notes: [{ kind: "expansion", names: [] }] },
  ],
  [
    "another command is left out",
    "curl http://a.example/?a=1&b=2; rm -r x",
    { url: "http://a.example/?a=1", notes: [{ kind: "more-commands", names: [] }] },
  ],
  [
    "one command of several",
    "curl http://a.example ;\ncurl http://b.example",
    { url: "http://a.example/", notes: [{ kind: "more-commands", names: [] }] },
  ],
  [
    "the second URL is left out",
    "curl http://a.example http://b.example",
    { notes: [{ kind: "more-urls", names: ["http://b.example"] }] },
  ],
  ["curl without a URL", "curl -H 'a: b'", { url: undefined }],
  [
    "a raw request",
    "POST /cart?x=1 HTTP/1.1\r\nHost: shop.example:8080\r\nCookie: a=b\r\nCookie: c=d\r\nX-Long: one\r\n  two\r\n\r\n{}",
    {
      form: "raw",
      method: "POST",
      url: "http://shop.example:8080/cart?x=1",
      headers: [["x-long", "one two"]],
      cookies: ["a=b", "c=d"],
      notes: [
        { kind: "body-left-out", names: [] },
        { kind: "scheme-assumed", names: [] },
      ],
    },
  ],
  [
    "a raw request to a proxy",
    "GET https://shop.example/ HTTP/1.1\nHost: shop.example",
    { url: "https://shop.example/", notes: [] },
  ],
  ["a raw request without a host", "GET /cart HTTP/1.1\nAccept: */*", { url: undefined, headers: [["accept", "*/*"]] }],
  [
    "what curl -v shows",
    "* Connected\n> GET /x HTTP/1.1\n> Host: a.example\n> \n< HTTP/1.1 200 OK".slice(12),
    { url: "http://a.example/x" },
  ],
  [
    "headers alone",
    "Accept: */*\nCookie: a=b",
    { form: "headers", url: undefined, headers: [["accept", "*/*"]], cookies: ["a=b"] },
  ],
  [
    "headers of HTTP/2",
    ":authority: shop.example\n:method: PUT\n:path: /cart\n:scheme: https\naccept: */*",
    { method: "PUT", url: "https://shop.example/cart", headers: [["accept", "*/*"]] },
  ],
  ["just a URL", " https://shop.example/cart ", { form: "url", url: "https://shop.example/cart", headers: [] }],
  ["a URL without scheme", "localhost:8080/cart", { form: "url", url: "http://localhost:8080/cart" }],
  ["an IPv6 host", "[::1]:8080", { form: "url", url: "http://[::1]:8080/" }],
  [
    "one header without blanks",
    "referer:https://a.example/",
    { form: "headers", headers: [["referer", "https://a.example/"]] },
  ],
];

describe("parseRequest", () => {
  it.each(table)("reads %s", (_, text, wanted) => {
    expect(requestOf(text)).toMatchObject(wanted);
  });

  const unclear: readonly (readonly [string, string, Extract<Pasted, { kind: "unclear" }>["why"]])[] = [
    ["a quote that is not closed", "curl 'http://a.example -H 'a: b'", "open-quote"],
    ["an answer", "HTTP/1.1 200 OK\nDate: now", "response"],
    ["copy as fetch", 'fetch("https://a.example")', "script"],
    ["prose", "why does my request go to canary", "not-a-request"],
    ["far too much", "a".repeat(300_000), "too-long"],
  ];
  it.each(unclear)("tells of %s", (_, text, why) => {
    expect(parseRequest(text)).toEqual({ kind: "unclear", why });
  });

  it("has nothing to say of blanks", () => {
    expect(parseRequest(" \n ")).toEqual({ kind: "nothing" });
  });

  // A parser that looks back would need minutes for one of them.
  const long = 200_000;
  it.each([
    ["dashes", `curl ${"--a ".repeat(long / 4)}`],
    ["quotes", `curl ${"''".repeat(long / 2)}`],
    ["open quotes", `curl "${"$'".repeat(long / 2)}`],
    ["backslashes", `curl ${"\\".repeat(long)}`],
    ["carets", `curl ^"${"^".repeat(long)}`],
    ["line ends", `curl ${"\n".repeat(long)}x`],
    ["blanks", `GET /${" ".repeat(long)}x`],
    ["colons", ":".repeat(long)],
    ["continued lines", `a: b\n${" x\n".repeat(long / 3)}`],
    ["at signs", `http://${"@".repeat(long)}`],
    ["options", `curl ${"-H a:b ".repeat(long / 8)}`],
    ["URLs", `curl ${"http://a ".repeat(long / 9)}`],
  ])("reads many %s in linear time", (_, text) => {
    const startMs = performance.now();
    parseRequest(text);
    expect(performance.now() - startMs).toBeLessThan(1_500);
  });
});
