/**
 * An endpoint that misbehaves on command, in its own process, so that it can be killed and stopped. Arguments: its port
 * and version. Messages set its misbehaviour.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { patternOf } from "./pattern.ts";

/** A misbehaviour, and its share of requests. */
export interface Misbehaviour {
  readonly kind:
    | "none"
    | "reset in the head"
    | "reset in the body"
    | "garbage"
    | "silence"
    | "delay"
    | "unasked answers"
    | "slow drip";
  readonly share: number;
}

const delayMs = 300;
const dripMs = 5;
/**
 * Further connections wait in the kernel until they time out. More than all users can open at a time, since each request
 * has its own connection once an endpoint has answered unasked.
 */
const backlog = 128;

const [portText = "", version = ""] = process.argv.slice(2);
let misbehaviour: Misbehaviour = { kind: "none", share: 0 };
let turn = 0;

process.on("message", (message: Misbehaviour) => {
  misbehaviour = message;
});
process.on("disconnect", () => process.exit());

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => void answer(request, response));
server.listen({ port: Number(portText), host: "127.0.0.1", backlog }, () => process.send?.("listening"));

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const id = String(request.headers["x-chaos-id"]);
  const query = new URL(request.url ?? "/", "http://upstream").searchParams;
  const length = Number(query.get("bytes") ?? 0);
  const received = await buffer(request).catch(() => undefined);
  if (received === undefined) return;
  const sent = Number(request.headers["x-chaos-length"] ?? 0);
  if (received.toString("latin1") !== patternOf(id, sent)) {
    response.writeHead(422).end("the request's body is not what its client sent");
    return;
  }
  // Every nth request rather than one by chance, so that runs are alike.
  turn += misbehaviour.share;
  const chosen = turn >= 1;
  if (chosen) turn -= 1;
  const kind = chosen ? misbehaviour.kind : "none";
  const body = patternOf(id, length);
  const headers = {
    "x-chaos-id": id,
    "x-chaos-version": version,
    ...(query.get("framing") === "length" ? { "content-length": String(length) } : {}),
  };
  const { socket } = response;
  switch (kind) {
    case "reset in the head":
      socket?.write("HTTP/1.1 200 OK\r\nx-chaos-id: ", () => socket.resetAndDestroy());
      return;
    case "reset in the body":
      response.writeHead(200, headers);
      response.write(body.slice(0, length / 2), () => socket?.resetAndDestroy());
      return;
    case "garbage":
      socket?.end("\x00\x01HTTP/9.9 twenty\r\n\r\n\r\n");
      return;
    case "silence":
      return;
    case "delay":
      setTimeout(() => response.writeHead(200, headers).end(body), delayMs);
      return;
    case "unasked answers":
      // In one write with the response: bytes after the next request are indistinguishable from its response.
      socket?.cork();
      response.writeHead(200, headers).end(body);
      socket?.write("HTTP/1.1 200 OK\r\nx-chaos-id: nobody\r\ncontent-length: 6\r\n\r\npoison");
      setImmediate(() => socket?.uncork());
      return;
    case "slow drip":
      response.writeHead(200, headers);
      drip(response, body, 0);
      return;
    case "none":
      response.writeHead(200, headers).end(body);
  }
}

function drip(response: ServerResponse, body: string, from: number): void {
  const to = from + Math.ceil(body.length / 20);
  if (to >= body.length) {
    response.end(body.slice(from));
    return;
  }
  response.write(body.slice(from, to));
  setTimeout(() => drip(response, body, to), dripMs);
}
