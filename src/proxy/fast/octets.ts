/** What an octet may be in the head of a message, as bits of one table look-up. */
export const tokenOctet = 1;
/** May stand in a field's value: visible, blank or obs-text (RFC 9110 §5.5). */
export const valueOctet = 2;
/** May stand in a request target that nobody reads in two ways: visible ASCII without `#`. */
export const targetOctet = 4;

export const tab = 0x09;
export const lineFeed = 0x0a;
export const carriageReturn = 0x0d;
export const space = 0x20;
export const percent = 0x25;
export const plus = 0x2b;
export const dot = 0x2e;
export const slash = 0x2f;
export const colon = 0x3a;
export const questionMark = 0x3f;
export const backslash = 0x5c;

export const octetClasses: Uint8Array = new Uint8Array(256);

/** Each octet, letters of ASCII in lower case. */
export const lowerCase: Uint8Array = Uint8Array.from({ length: 256 }, (_, octet) =>
  octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet,
);

for (let octet = 0x21; octet < 0x7f; octet++) octetClasses[octet] = valueOctet | targetOctet;
for (let octet = 0x80; octet < 0x100; octet++) octetClasses[octet] = valueOctet;
for (const octet of [tab, space]) octetClasses[octet] = valueOctet;
for (const octet of Buffer.from("!#$%&'*+-.^_`|~0123456789", "latin1")) mark(octet, tokenOctet);
for (let octet = 0x41; octet <= 0x5a; octet++) {
  mark(octet, tokenOctet);
  mark(octet | 0x20, tokenOctet);
}
octetClasses[0x23] = valueOctet | tokenOctet;

function mark(octet: number, bit: number): void {
  octetClasses[octet] = (octetClasses[octet] ?? 0) | bit;
}

/** Octets as text, one character each. */
export function latin1(octets: Buffer, from: number, to: number): string {
  return (octets as Buffer & { latin1Slice(from: number, to: number): string }).latin1Slice(from, to);
}
