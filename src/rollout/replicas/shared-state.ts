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

/** `lacksEvidence`: it would have been larger than `maxBytes`, so what judges saved is left out. */
export async function sharedContentOf(
  { judge, ...state }: SavedState,
  maxBytes: number,
): Promise<{ readonly content: SharedContent; readonly lacksEvidence: boolean }> {
  const text = JSON.stringify({ ...state, judge: {} });
  const evidence = await compress(JSON.stringify(judge));
  const lacksEvidence = Buffer.byteLength(text) + evidence.length > maxBytes;
  const binaryData = lacksEvidence ? {} : { [evidenceKey]: evidence };
  return { content: { data: { [stateKey]: text }, binaryData }, lacksEvidence };
}

/** `none`: nothing was saved yet. */
export async function readSharedContent(
  content: SharedContent | undefined,
): Promise<StateReading | { readonly kind: "none" }> {
  const text = content?.data[stateKey];
  if (content === undefined || text === undefined) return { kind: "none" };
  const evidence = content.binaryData[evidenceKey];
  if (evidence === undefined) return readSavedState(text);
  const judge = await evidenceIn(evidence);
  if (judge === undefined) return readSavedState("");
  const reading = readSavedState(text);
  // Whether `judge` is an object is all that a reading asks of it.
  if (reading.kind === "unusable" || typeof judge !== "object" || judge === null) return reading;
  return { kind: "read", saved: { ...reading.saved, judge: judge as SavedState["judge"] } };
}

async function evidenceIn(bytes: Uint8Array): Promise<unknown> {
  try {
    return JSON.parse((await decompress(bytes, { maxOutputLength: maxEvidenceBytes })).toString());
  } catch {
    return undefined;
  }
}
