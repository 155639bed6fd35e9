import type { Socket } from "node:net";

/**
 * What the warm-up sends and answers: requests as browsers and programs make them, one at a time on each connection. The
 * end of a message is seen without a parser: every body with a length ends with a character that occurs nowhere else.
 */
const bodyEnd = "!";
const lastChunk = "\r\n0\r\n\r\n";
const headEnd = "\r\n\r\n";

const bodyOf = (bytes: number) => "x".repeat(bytes - bodyEnd.length) + bodyEnd;
const inChunks = (body: string) => `${body.length.toString(16)}\r\n${body}${lastChunk}`;

const answerHead =
  "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncache-control: no-store\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
const withLength = (body: string) => `content-length: ${body.length}\r\n\r\n${body}`;

/** In one write each, except for what an upstream streams. */
const answers: ReadonlyMap<string, readonly string[]> = new Map([
  ["page", [answerHead + withLength(bodyOf(1_024))]],
  ["large", [answerHead + withLength(bodyOf(16_384))]],
  ["missing", [`HTTP/1.1 404 Not Found\r\n${withLength(bodyOf(64))}`]],
  [
    "stream",
    [`${answerHead}transfer-encoding: chunked\r\n\r\n400\r\n${"x".repeat(1_024)}`, `\r\n${inChunks("x".repeat(512))}`],
  ],
]);

/** The upstream: answers each request by the first part of its path behind `/api/`. */
export function answerAll(socket: Socket): void {
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
    const isWhole = received.startsWith("GET ") ? received.endsWith(headEnd) : endsWithBody(received);
    if (!isWhole) return;
    const [, kind = ""] = /^[A-Z]+ \/api\/([a-z]+)/.exec(received) ?? [];
    received = "";
    const [first = "", rest] = answers.get(kind) ?? [];
    socket.write(first);
    if (rest !== undefined) setImmediate(() => socket.write(rest));
  });
}

const endsWithBody = (text: string) => text.endsWith(bodyEnd) || text.endsWith(lastChunk);

const browser = `host: shop.example
user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36
accept: text/html,application/json;q=0.9,*/*;q=0.8
accept-encoding: gzip, deflate, br
accept-language: en-GB,en;q=0.9
`.replaceAll("\n", "\r\n");
const program = "Host: shop.example\r\nAccept: */*\r\n";

/** What one visitor sends after the first request, which has no pin. */
function visit(pin: string): readonly string[] {
  const cookie = `cookie: session=0123456789abcdef; ${pin}; theme=dark\r\n`;
  const get = (path: string, fields: string) => `GET /api/${path} HTTP/1.1\r\n${fields}\r\n`;
  const pages = Array.from({ length: 12 }, (_, page) => get(`page/${page}?sort=price&limit=20`, browser + cookie));
  const post = `POST /api/page HTTP/1.1\r\n${browser}${cookie}content-type: application/json\r\n`;
  return [
    ...pages,
    get("page", `${program}Cookie: ${pin}\r\n`),
    get("page?region=cn-east", browser + cookie),
    get("page", `${browser}${cookie}x-user-region: cn-east\r\nx-user-id: qa-1\r\n`),
    get("stream", browser + cookie),
    get("large", browser + cookie),
    get("missing", browser + cookie),
    post + withLength(bodyOf(256)),
    `${post}transfer-encoding: chunked\r\n\r\n${inChunks("x".repeat(256))}`,
  ];
}

const firstVisit = `GET /api/page HTTP/1.1\r\n${browser}\r\n`;

/** A client: sends one request after the other until its connection ends. `onAnswer` is called after each answer. */
export function sendAll(socket: Socket, onAnswer: () => void): void {
  let next: readonly string[] = [];
  let at = 0;
  let received = "";
  const send = () => {
    const request = next[at++];
    socket.write(request ?? firstVisit, "latin1");
  };
  socket.on("connect", send).on("data", (chunk) => {
    received += chunk.toString("latin1");
    if (!endsWithBody(received)) return;
    if (at > next.length) {
      const [, pin = ""] = /\r\nset-cookie: ([^;\r]*)/i.exec(received) ?? [];
      next = visit(pin);
      at = 0;
    }
    received = "";
    onAnswer();
    send();
  });
}
