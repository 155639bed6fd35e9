/** A name, and what of it is wanted: its addresses, or the hosts and ports of its SRV records. */
export interface DnsQuestion {
  /** In lower case. A dot at its end says that it is whole as it stands. */
  readonly name: string;
  readonly wanted: "addresses" | "services";
}

export type AddressFamily = 4 | 6;

export interface DnsRecord {
  readonly address: string;
  /** Undefined where only an address was wanted. */
  readonly port: number | undefined;
}

export type DnsAnswer =
  | {
      readonly kind: "found";
      readonly records: readonly DnsRecord[];
      readonly ttlMs: number;
      /** The family of addresses for which no name server could tell, though one could for the other. */
      readonly unknown: AddressFamily | undefined;
    }
  /** The name servers say that there is no such name, or nothing of that kind. */
  | { readonly kind: "empty" }
  /** No name server could tell. */
  | { readonly kind: "failed"; readonly why: string };

/** How names are resolved. */
export interface DnsSpec {
  /** Addresses with ports, as `setServers` of node:dns takes them; none: those of the system. */
  readonly servers: readonly string[];
  /** Answers count for their time to live, but for so long at least and at most. */
  readonly minTtlMs: number;
  readonly maxTtlMs: number;
}

export const questionKey = ({ name, wanted }: DnsQuestion): string => `${wanted} ${name}`;
