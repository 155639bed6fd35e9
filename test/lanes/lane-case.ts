import type { Answer, AnswerStep } from "../kit/recording-upstream.ts";

/** One thing that the client of a case does. */
export type ClientStep =
  /** Bytes in one write, which arrive by themselves. */
  | { readonly send: string }
  /** Waits until this many final responses are whole, on this connection; or until it is closed. */
  | { readonly responses: number }
  /** Waits until this text has come; or until the connection is closed. */
  | { readonly received: string }
  /** Waits until upstreams have got this text. */
  | { readonly upstreamHas: string }
  /** Waits until the connection is closed by Perch. */
  | { readonly closed: true }
  /** Waits until nothing happens any more, anywhere. */
  | { readonly quiet: true }
  | { readonly do: "end" | "reset" | "reconnect" };

/** What is sent through both lanes, and how upstreams answer it. */
export interface LaneCase {
  readonly name: string;
  /** Bytes, or steps; after the last step the case waits until nothing happens any more. */
  readonly client: string | readonly ClientStep[];
  /** By the order of requests upstream; what is missing gets an ordinary 200. A text is sent once the request is whole. */
  readonly upstream?: readonly (string | Answer)[];
  /** The methods of the requests on each connection, where they are not all that of the first. */
  readonly methods?: readonly string[];
  /** Whether the fast lane serves it to the end, without a hand-over. Default false: either may. */
  readonly regular?: boolean;
  /**
   * What is left out of the comparison: of messages that broke off the body, where how much of it passed is a race in any
   * one lane; or the reason phrase, of which the standard lane loses bytes where it comes in pieces.
   */
  readonly loose?: "partial bodies" | "reason";
  /**
   * Perch refuses an upload and reads on for a while, and the client goes meanwhile: the standard lane then counts 499, for
   * its response has not ended, although the client has all of it. Which 4xx was counted is left out, and what the log
   * says of the attempt.
   */
  readonly lingers?: true;
  /** Why the lanes differ although they should not: the case is known to fail until that is mended. */
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

/** Bytes in pieces, each of which arrives by itself. */
export function pieces(...bytes: readonly string[]): (ClientStep & AnswerStep)[] {
  return bytes.map(send);
}

/** A text cut at these positions. */
export function cut(bytes: string, ...positions: readonly number[]): (ClientStep & AnswerStep)[] {
  const bounds = [0, ...positions, bytes.length];
  return pieces(...bounds.slice(1).map((bound, i) => bytes.slice(bounds[i], bound)));
}

/** An answer sent once the request is whole. */
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

/** A response whose body has its length said. */
export function sized(body: string, fields = "", status = "200 OK"): string {
  return response(status, `${fields}Content-Length: ${body.length}\r\n`, body);
}

/** Chunks and what ends them. */
export function chunks(parts: readonly string[], trailers = ""): string {
  const written = parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`);
  return `${written.join("")}0\r\n${trailers}\r\n`;
}
