/** What a `traceparent` says (https://www.w3.org/TR/trace-context/). */
export interface TraceParent {
  readonly traceId: string;
  readonly parentId: string;
  readonly flags: number;
}

export const sampledFlag = 0x01;
/** Level 2: the trace id is random. Only whoever made it knows. */
export const randomFlag = 0x02;

/** Lower case only. Later versions may say more behind a further dash; `ff` never is one. */
const pattern = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Undefined for anything malformed: the trace then begins anew (§3.2.2.3 to §3.2.2.5, §4.3). */
export function parseTraceParent(text: string): TraceParent | undefined {
  const parts = pattern.exec(text);
  if (parts === null) return undefined;
  const [, version, traceId = "", parentId = "", flags = "", more] = parts;
  if (version === "00" && more !== undefined) return undefined;
  return { traceId, parentId, flags: Number.parseInt(flags, 16) };
}

/** In version 00, whatever version it was received in. */
export function formatTraceParent({ traceId, parentId, flags }: TraceParent): string {
  return `00-${traceId}-${parentId}-${flags.toString(16).padStart(2, "0")}`;
}
