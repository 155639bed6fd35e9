import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import type { SavedState } from "../rollout-state.ts";
import { readSavedState, type StateReading } from "../state/saved-state.ts";

/** The state as it is kept where all replicas read it: readable, but for what judges saved. */
export interface SharedContent {
  readonly data: Readonly<Record<string, string>>;
  readonly binaryData: Readonly<Record<string, Uint8Array>>;
}

const stateKey = "state.json";
const evidenceKey = "evidence.json.gz";
/** As of a state file: far above what the bounds of the judge allow. */
const maxEvidenceBytes = 64 * 1024 * 1024;

const compress = promisify(gzip);
const decompress = promisify(gunzip);

export type SharedReading =
  | Extract<StateReading, { kind: "read" }>
  /** A clause that says what it is instead. */
  | { readonly kind: "unusable"; readonly why: string }
  /** Nothing was saved yet. */
  | { readonly kind: "none" };

/** Where the events with all that was known at each do not fit. */
const fewEvents = 50;

/** `lacksEvidence`: it would have been larger than `maxBytes`, so what judges saved is left out. */
export async function sharedContentOf(
  { judge, ...state }: SavedState,
  maxBytes: number,
): Promise<{ readonly content: SharedContent; readonly lacksEvidence: boolean }> {
  let text = JSON.stringify({ ...state, judge: {} });
  if (Buffer.byteLength(text) > maxBytes / 2) {
    const events = state.events.slice(-fewEvents).map((event) => ({ ...event, evidence: [] }));
    text = JSON.stringify({ ...state, events, judge: {} });
  }
  const evidence = await compress(JSON.stringify(judge));
  const lacksEvidence = Buffer.byteLength(text) + evidence.length > maxBytes;
  const binaryData = lacksEvidence ? {} : { [evidenceKey]: evidence };
  return { content: { data: { [stateKey]: text }, binaryData }, lacksEvidence };
}

export async function readSharedContent(content: SharedContent | undefined): Promise<SharedReading> {
  const text = content?.data[stateKey];
  if (content === undefined || text === undefined) return { kind: "none" };
  const reading = readSavedState(text);
  const evidence = content.binaryData[evidenceKey];
  if (reading.kind === "unusable" || evidence === undefined) return reading;
  const judge = await evidenceIn(evidence);
  if (judge === undefined) return { kind: "unusable", why: `its ${evidenceKey} is damaged` };
  return { kind: "read", saved: { ...reading.saved, judge } };
}

/** Undefined: it is not what was saved. */
async function evidenceIn(bytes: Uint8Array): Promise<SavedState["judge"] | undefined> {
  try {
    const judge: unknown = JSON.parse((await decompress(bytes, { maxOutputLength: maxEvidenceBytes })).toString());
    return typeof judge === "object" && judge !== null ? (judge as SavedState["judge"]) : undefined;
  } catch {
    return undefined;
  }
}
