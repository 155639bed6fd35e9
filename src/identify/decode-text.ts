import { isUtf8 } from "node:buffer";

const beyondAscii = /[\u0080-\uffff]/;
const beyondLatin1 = /[\u0100-\uffff]/;

/**
 * The text that octets stand for: parsers hand a head's octets on as one character each (Latin-1), while clients mean
 * UTF-8. Octets that are no valid UTF-8 stay the Latin-1 text they already are.
 */
export function decodeText(octets: string): string {
  if (!beyondAscii.test(octets) || beyondLatin1.test(octets)) return octets;
  const bytes = Buffer.from(octets, "latin1");
  return isUtf8(bytes) ? bytes.toString("utf8") : octets;
}
