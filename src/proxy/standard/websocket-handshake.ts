import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { ErrorCause } from "../../errors.ts";
import type { RequestHead } from "../../http/request-head.ts";
import { type Refusal, refusal } from "../local-reply.ts";

/** 16 bytes in base64. */
const keyText = /^[+/\dA-Za-z]{21}[AQgw]==$/;

/**
 * Why a handshake is refused (RFC 6455 §4.2.1). One without a key or version is not a handshake: 400. One of another
 * version is answered with the version that is supported (§4.2.2, §4.4): 426.
 */
export function handshakeRefusal(head: Pick<RequestHead, "headerLines">): Refusal | undefined {
  const [version, ...others] = head.headerLines("sec-websocket-version");
  if (version === undefined) return refusal("bad-request", "missing-websocket-version");
  if (version.trim() !== "13" || others.length > 0) return refusal("upgrade-required", "websocket-version");
  return keyOf(head) === undefined ? refusal("bad-request", "invalid-websocket-key") : undefined;
}

/** The key of a handshake; undefined if it is not valid. */
export function keyOf(head: Pick<RequestHead, "headerLines">): string | undefined {
  const [key, ...others] = head.headerLines("sec-websocket-key");
  const text = key?.trim() ?? "";
  return others.length === 0 && keyText.test(text) ? text : undefined;
}

const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Why a 101 does not open the WebSocket that was asked for with this key (RFC 6455 §4.1); undefined if it does. */
export function switchFault(
  { headers }: Pick<IncomingMessage, "headers">,
  key: string,
): ErrorCause<"upstream-malformed"> | undefined {
  if (headers.upgrade?.toLowerCase() !== "websocket") return "unasked-upgrade";
  const accept = createHash("sha1")
    .update(key + guid)
    .digest("base64");
  return headers["sec-websocket-accept"] === accept ? undefined : "invalid-websocket-accept";
}
