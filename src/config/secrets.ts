/** A file of secrets holds a handful of lines. */
export const largestSecretBytes = 64 * 1024;

/** HMAC-SHA256 gains nothing beyond 32 octets, and is weaker below (RFC 2104 §3). */
const shortestSecretBytes = 32;

const blank = (octet: number): boolean => octet === 0x20 || octet === 0x09 || octet === 0x0d;

/**
 * Reads secrets: one a line, trimmed, at least 32 octets each; blank lines are skipped. They need not be UTF-8.
 *
 * @returns the secrets, or what is wrong; the words never quote a secret.
 */
export function parseSecrets(bytes: Uint8Array): readonly Uint8Array[] | { readonly problem: string } {
  const secrets: Uint8Array[] = [];
  let lineNumber = 0;
  for (let start = 0; start <= bytes.length; ) {
    const lineBreak = bytes.indexOf(0x0a, start);
    const end = lineBreak === -1 ? bytes.length : lineBreak;
    const secret = trim(bytes.subarray(start, end));
    start = end + 1;
    lineNumber++;
    if (secret.length === 0) continue;
    if (secret.length < shortestSecretBytes) {
      return {
        problem: `line ${lineNumber} has ${secret.length} bytes; a secret needs at least ${shortestSecretBytes}`,
      };
    }
    secrets.push(secret);
  }
  return secrets.length === 0 ? { problem: "it holds no secret" } : secrets;
}

/** A copy, so that a secret does not keep the whole file in memory. */
function trim(line: Uint8Array): Uint8Array {
  let start = 0;
  let end = line.length;
  while (start < end && blank(line[start] ?? 0)) start++;
  while (end > start && blank(line[end - 1] ?? 0)) end--;
  return line.slice(start, end);
}
