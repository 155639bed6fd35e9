import type { DnsQuestion, DnsRecord } from "./dns-question.ts";
import { addressOf, type EndpointAddress } from "./endpoint-address.ts";

/** What the configuration says of a version's endpoints: one address, or all that a name stands for. */
export type EndpointSpec = { readonly kind: "address"; readonly address: EndpointAddress } | DnsEndpointSpec;

export interface DnsEndpointSpec {
  readonly kind: "dns";
  readonly question: DnsQuestion;
  readonly scheme: "http" | "https";
  /** Undefined where SRV records give one each. */
  readonly port: number | undefined;
}

export function schemeOf(spec: EndpointSpec): "http" | "https" {
  return spec.kind === "address" ? spec.address.scheme : spec.scheme;
}

/** As people know it; no two of a version are described alike. */
export function describeSpec(spec: EndpointSpec): string {
  if (spec.kind === "address") return spec.address.origin;
  const { question, scheme, port } = spec;
  return `${scheme}://${question.name}${port === undefined ? "" : `:${port}`} by DNS`;
}

/** One of the endpoints that a name stands for. A certificate must name what was configured, not where that led. */
export function recordAddress({ question, scheme, port }: DnsEndpointSpec, record: DnsRecord): EndpointAddress {
  const host = record.address.includes(":") ? `[${record.address}]` : record.address;
  const address = addressOf(`${scheme}://${host}:${record.port ?? port}`);
  return Object.freeze({ ...address, host: certifiedName(question.name) });
}

/** Without the labels of a service, `_https._tcp.`, and the dot at the end: no certificate has those. */
function certifiedName(name: string): string {
  return name.replace(/^(?:_[^.]*\.)+/, "").replace(/\.$/, "");
}
