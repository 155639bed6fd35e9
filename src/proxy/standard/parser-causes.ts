import type { ErrorCause } from "../../errors.ts";
import { type Refusal, refusal } from "../local-reply.ts";

/** An error of llhttp, as node reports it. */
interface ParserError {
  readonly code?: unknown;
  /** llhttp's explanation. */
  readonly reason?: unknown;
  readonly message: string;
}

/** Causes that a head of either direction may have. */
type HeadCause = ErrorCause<"bad-request"> & ErrorCause<"upstream-malformed">;

/** By llhttp's explanations, since one of its codes may stand for several causes. The first that matches counts. */
const headCauses: readonly (readonly [explanation: RegExp, cause: HeadCause])[] = [
  [/^(?:Content-Length can't be present with|Transfer-Encoding can't be present with)/, "length-and-chunks"],
  [/^Duplicate Content-Length/, "conflicting-lengths"],
  [/Content-Length/, "invalid-content-length"],
  [/Transfer-Encoding/, "unsupported-transfer-encoding"],
  [/^Unexpected (?:whitespace after header value|space after start line)/, "folded-header"],
  [/^Invalid header (?:token|field char)/, "invalid-header-name"],
  [/^Invalid header value char/, "invalid-header-value"],
  [/^(?:Missing expected (?:CR|LF) after header value|Expected LF after headers)/, "invalid-line-ending"],
];

const targetCauses: readonly (readonly [explanation: RegExp, cause: ErrorCause<"bad-request">])[] = [
  [/^Invalid characters? in url$|^Invalid char in url/, "invalid-target-character"],
  [/./, "invalid-target"],
];

const requestCodes: ReadonlyMap<unknown, ErrorCause<"bad-request">> = new Map<unknown, ErrorCause<"bad-request">>([
  ["HPE_INVALID_METHOD", "invalid-method"],
  ["HPE_INVALID_VERSION", "invalid-version"],
  ["HPE_INVALID_CONSTANT", "invalid-version"],
  ["HPE_PAUSED_H2_UPGRADE", "other-protocol"],
  ["HPE_CLOSED_CONNECTION", "data-after-close"],
]);

/** Framing fields behind the body. */
const forbiddenTrailer = /Content-Length|Transfer-Encoding/;

/** Why node's parser rejected the bytes of a client: in a head, or in the body of the request that is being received. */
export function requestRefusal(error: ParserError, part: "head" | "body"): Refusal {
  const { code } = error;
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return refusal("request-timeout", part);
  if (code === "HPE_CHUNK_EXTENSIONS_OVERFLOW") return refusal("headers-too-large", "chunk-extensions");
  if (code === "HPE_HEADER_OVERFLOW") return refusal("headers-too-large", part === "head" ? "size" : "trailers");
  return refusal("bad-request", part === "head" ? headCause(error) : bodyCause(error));
}

function headCause(error: ParserError): ErrorCause<"bad-request"> {
  const explanation = explanationOf(error);
  if (error.code === "HPE_INVALID_URL") return found(targetCauses, explanation) ?? "invalid-target";
  if (/after version/.test(explanation)) return "invalid-version";
  return requestCodes.get(error.code) ?? found(headCauses, explanation) ?? "other";
}

function bodyCause(error: ParserError): "invalid-chunk" | "invalid-trailer" | "forbidden-trailer" {
  const explanation = explanationOf(error);
  if (/chunk/i.test(explanation)) return "invalid-chunk";
  return forbiddenTrailer.test(explanation) ? "forbidden-trailer" : "invalid-trailer";
}

/** Why node's parser rejected the response to a WebSocket handshake. */
export function responseCause(error: ParserError): ErrorCause<"upstream-malformed"> {
  if (error.code === "HPE_HEADER_OVERFLOW") return "head-too-large";
  const explanation = explanationOf(error);
  if (/chunk/i.test(explanation)) return "invalid-chunk";
  return found(headCauses, explanation) ?? found(statusLineCauses, explanation) ?? "other";
}

const statusLineCauses: readonly (readonly [explanation: RegExp, cause: ErrorCause<"upstream-malformed">])[] = [
  [/HTTP|version|status|response line|dot/i, "invalid-status-line"],
];

function found<C>(causes: readonly (readonly [RegExp, C])[], explanation: string): C | undefined {
  return causes.find(([pattern]) => pattern.test(explanation))?.[1];
}

function explanationOf({ reason, message }: ParserError): string {
  return typeof reason === "string" ? reason : message;
}
