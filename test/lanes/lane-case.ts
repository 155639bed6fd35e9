import type { Answer, AnswerStep } from "../kit/recording-upstream.ts";

/** A step of the client. */
export type ClientStep =
  /** Bytes in one write, which arrive in a read of their own. */
  | { readonly send: string }
  /** Waits until this many final responses are complete on this connection, or it is closed. */
  | { readonly responses: number }
  /** Waits until this string has been received, or the connection is closed. */
  | { readonly received: string }
  /** Waits until an upstream has received this string. */
  | { readonly upstreamHas: string }
  /** Waits until the connection is closed by Perch. */
  | { readonly closed: true }
  /** Waits until no event happens any more on any connection. */
  | { readonly quiet: true }
  | { readonly do: "end" | "reset" | "reconnect" };

/** What a client sends through both lanes, and how upstreams answer. */
export interface LaneCase {
  readonly name: string;
  /** Bytes, or steps; after the last one the case waits until no event happens any more. */
  readonly client: string | readonly ClientStep[];
  /** In the order of requests upstream; further ones get an ordinary 200. A string is sent once the request is complete. */
  readonly upstream?: readonly (string | Answer)[];
  /** The methods of the requests on each connection. Default: that of the first request. */
  readonly methods?: readonly string[];
  /** Whether the fast lane serves it without a handover. Default false: either lane may. */
  readonly regular?: boolean;
  /**
   * What is not compared: the body of aborted messages, where the number of bytes passed is a race in either lane; or the
   * reason phrase, of which the standard lane loses bytes where it comes in pieces.
   */
  readonly loose?: "partial bodies" | "reason";
  /**
   * Perch refuses an upload and lingers, and the client leaves meanwhile: the standard lane then counts 499, since its
   * response has not ended, although the client has received it. The counted 4xx and the attempt's log fields are not
   * compared.
   */
  readonly lingers?: true;
  /** Why the lanes differ although they should not: the case is expected to fail until that is fixed. */
  readonly differs?: string;
}

export const send = (bytes: string): ClientStep & AnswerStep => ({ send: bytes });
export const responses = (count: number): ClientStep => ({ responses: count });
export const received = (text: string): ClientStep & AnswerStep => ({ received: text });
export const upstreamHas = (text: string): ClientStep => ({ upstreamHas: text });
export const clientHas = (text: string): AnswerStep => ({ clientHas: text });
export const closed: ClientStep = { closed: true };
export const quiet: ClientStep = { quiet: true };
export const end = { do: "end" } as const;
export const reset = { do: "reset" } as const;
export const reconnect: ClientStep = { do: "reconnect" };

/** Bytes in pieces, each of which arrives in a read of its own. */
export function pieces(...bytes: readonly string[]): (ClientStep & AnswerStep)[] {
  return bytes.map(send);
}

/** A string cut at these positions. */
export function cut(bytes: string, ...positions: readonly number[]): (ClientStep & AnswerStep)[] {
  const bounds = [0, ...positions, bytes.length];
  return pieces(...bounds.slice(1).map((bound, i) => bytes.slice(bounds[i], bound)));
}

/** An answer sent once the request is complete. */
export function answer(...steps: readonly AnswerStep[]): Answer {
  return { steps };
}

/** An answer that does not wait for the request's body. */
export function earlyAnswer(...steps: readonly AnswerStep[]): Answer {
  return { from: "head", steps };
}

/** A field line. */
export const chunked = "Transfer-Encoding: chunked\r\n";

/** A request with a Host; `fields` are lines that end in CRLF. */
export function request(line = "GET /", fields = "", body = ""): string {
  return `${line} HTTP/1.1\r\nHost: shop.example\r\n${fields}\r\n${body}`;
}

/** A response with these field lines. */
export function response(status = "200 OK", fields = "", body = ""): string {
  return `HTTP/1.1 ${status}\r\n${fields}\r\n${body}`;
}

/** A response with a Content-Length. */
export function sized(body: string, fields = "", status = "200 OK"): string {
  return response(status, `${fields}Content-Length: ${body.length}\r\n`, body);
}

/** Chunks, the last chunk and trailers. */
export function chunks(parts: readonly string[], trailers = ""): string {
  const written = parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`);
  return `${written.join("")}0\r\n${trailers}\r\n`;
}
