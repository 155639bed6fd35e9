/** An IP address as four 32-bit words; IPv4 is held as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2), so both compare alike. */
export interface Address {
  /** Canonical text: dotted quad, or RFC 5952. */
  readonly text: string;
  readonly words: readonly [number, number, number, number];
}

/** A CIDR block. A lone address is a block of its full length. */
export interface AddressRange {
  readonly text: string;
  contains(address: Address): boolean;
}
