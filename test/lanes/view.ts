import type { RecordedConnection } from "../kit/recording-upstream.ts";
import { excerpt, type StrictMessage } from "../kit/strict-bytes.ts";
import { readStrictResponse } from "../kit/strict-response.ts";
import type { LaneCase } from "./lane-case.ts";

/** What one client connection received. */
export interface ClientView {
  readonly bytes: string;
  readonly state: "open" | "closed";
}

/** Names for values that differ between two correct runs of one case. */
export interface Names {
  /** Port to name. */
  readonly ports: ReadonlyMap<number, string>;
}

const longBody = 600;

/** Everything seen of a case in one lane, as lines to compare. */
export function render(laneCase: LaneCase, clients: readonly ClientView[], upstreams: Upstreams, names: Names): string {
  const lines: string[] = [];
  for (const [index, client] of clients.entries()) {
    lines.push(`client ${index + 1}: ${client.state}`, ...renderClient(laneCase, client));
  }
  lines.push(...renderRequests(upstreams));
  for (const [name, connections] of upstreams) {
    for (const connection of connections) lines.push(...renderRest(laneCase, name, connection));
  }
  return normalised(lines.join("\n"), names);
}

export type Upstreams = ReadonlyMap<string, readonly RecordedConnection[]>;

function renderClient(laneCase: LaneCase, { bytes }: ClientView): string[] {
  const lines: string[] = [];
  const { methods = [] } = laneCase;
  const first = firstMethod(laneCase);
  let answered = 0;
  for (let at = 0; at < bytes.length; ) {
    const reading = readStrictResponse(bytes, at, methods[answered] ?? methods.at(-1) ?? first);
    if (reading.kind !== "complete") {
      if (reading.soFar === undefined) return [...lines, `  left over: ${excerpt(bytes.slice(at))}`];
      lines.push(...renderMessage(reading.soFar, partial(laneCase)), `  ${reading.kind}`);
      if (reading.kind === "malformed") lines.push(`  PROBLEM: ${reading.problem}`);
      return lines;
    }
    lines.push(...renderMessage(reading.message, laneCase.loose));
    if (!/^HTTP\/1.1 1/.test(reading.message.startLine)) answered++;
    at = reading.end;
  }
  return lines;
}

/** How an aborted message is shown. */
function partial({ loose }: LaneCase): LaneCase["loose"] | "no body" {
  return loose === "partial bodies" ? "no body" : loose;
}

/** Complete requests by their arrival; their connections may differ between lanes. */
function renderRequests(upstreams: Upstreams): string[] {
  const all = [...upstreams].flatMap(([name, connections]) =>
    connections.flatMap(({ requests }) => requests.map((request) => ({ ...request, name }))),
  );
  all.sort((a, b) => a.arrival - b.arrival);
  return all.flatMap(({ name, message }) => [`upstream ${name}:`, ...renderMessage(message)]);
}

function renderRest(laneCase: LaneCase, name: string, connection: RecordedConnection): string[] {
  const lines: string[] = [];
  const { partial: unfinished, problem, left } = connection;
  // The standard lane sends a head with the first bytes of its body, the fast lane at once.
  if (unfinished?.body === "" && problem === undefined) return [];
  if (unfinished !== undefined)
    lines.push(`upstream ${name}, incomplete:`, ...renderMessage(unfinished, partial(laneCase)));
  else if (left > 0) lines.push(`upstream ${name}, left over: ${excerpt(connection.bytes.slice(-left))}`);
  if (problem !== undefined) lines.push(`PROBLEM upstream ${name}: ${problem}`);
  return lines;
}

function renderMessage(message: StrictMessage, loose?: LaneCase["loose"] | "no body"): string[] {
  const { startLine, fields, framing, body, trailers } = message;
  const start = loose === "reason" ? startLine.slice(0, "HTTP/1.1 200".length) : startLine;
  const lines = [`  ${visible(start)}`, ...fields.map((field) => `  ${visible(field)}`)];
  if (loose !== "no body" && framing !== "none") lines.push(`  (${framing}) ${renderBody(body)}`);
  lines.push(...trailers.map((trailer) => `  after: ${visible(trailer)}`));
  return lines;
}

function renderBody(body: string): string {
  if (body.length <= longBody) return JSON.stringify(body);
  let sum = 0;
  for (let i = 0; i < body.length; i++) sum = (Math.imul(sum, 31) + body.charCodeAt(i)) | 0;
  return `${body.length} bytes, sum ${sum}: ${excerpt(body)}`;
}

function visible(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** The method in the client's first bytes. */
function firstMethod({ client }: LaneCase): string {
  const first = typeof client === "string" ? client : client.find((step) => "send" in step);
  const bytes = typeof first === "string" ? first : first !== undefined && "send" in first ? first.send : "";
  return /^[\r\n]*([^ ]*)/.exec(bytes)?.[1] ?? "GET";
}

const uuid = /\b[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}\b/g;
const httpDate = /\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT/g;
const pin = /\b1\.(\d+)\.(\d+)\.([a-z0-9-]+)\.([a-z0-9-]+)\.([ar])([\w-]{11})\.[\w-]{22}/g;
/** Trace ids of cases repeat one digit: any other is Perch's. */
const madeTrace = /\btraceparent: 00-(?!(.)\1{31}-)[\da-f]{32}-[\da-f]{16}-([\da-f]{2})/g;
const loggedTrace = /(?<="traceId":")(?!(.)\1{31})[\da-f]{32}/g;
const parentSpan = /\b(traceparent: 00-[\da-f]{32}-)[\da-f]{16}(-[\da-f]{2})/g;
/** A date of today is Perch's; any other is the case's. */
const recentMs = 5 * 60_000;

/** Replaces values that differ between two correct runs: ids, dates, random units, signatures, ports. */
export function normalised(text: string, { ports }: Names): string {
  return text
    .replace(uuid, "<id>")
    .replace(madeTrace, "traceparent: 00-<trace>-<span>-$2")
    .replace(loggedTrace, "<trace>")
    .replace(parentSpan, "$1<span>$2")
    .replace(httpDate, (date) => (Math.abs(Date.parse(date) - Date.now()) < recentMs ? "<now>" : date))
    .replace(pin, (_all, epoch, issuedAt, version, how, source, unit) => {
      const when = Math.abs(Number(issuedAt) * 1000 - Date.now()) < recentMs ? "<now>" : issuedAt;
      return `1.${epoch}.${when}.${version}.${how}.${source === "r" ? "r<random>" : source + unit}.<signature>`;
    })
    .replace(/\b\d{4,5}\b/g, (digits) => ports.get(Number(digits)) ?? digits);
}
