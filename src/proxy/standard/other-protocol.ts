import type { IncomingMessage } from "node:http";
import { parsedOctets } from "./parsed-octets.ts";

/** llhttp takes these with no other protocol than RTSP. */
const rtspMethods: ReadonlySet<string> = new Set([
  "DESCRIBE",
  "ANNOUNCE",
  "SETUP",
  "PLAY",
  "PAUSE",
  "TEARDOWN",
  "GET_PARAMETER",
  "SET_PARAMETER",
  "REDIRECT",
  "RECORD",
  "FLUSH",
]);
/** These it takes with `RTSP/1.0` or `ICE/1.0` as with `HTTP/1.0`, and does not tell which it was. */
const sharedMethods: ReadonlySet<string> = new Set(["OPTIONS", "GET", "POST", "SOURCE"]);

/** Whether a request that llhttp took is none of HTTP: it reads request lines of RTSP and ICE as well. */
export function isOtherProtocol(request: IncomingMessage): boolean {
  const { method = "", url = "", httpVersionMinor } = request;
  if (rtspMethods.has(method)) return true;
  if (httpVersionMinor !== 0 || !sharedMethods.has(method)) return false;
  const octets = parsedOctets(request);
  if (octets === undefined) return false;
  const said = (protocol: string) => octets.includes(`${method} ${url} ${protocol}/1.0`, 0, "latin1");
  return (said("RTSP") || said("ICE")) && !said("HTTP");
}
