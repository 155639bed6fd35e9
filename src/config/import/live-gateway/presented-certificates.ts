import type { TlsSpec } from "../../compiled-config.ts";
import type { GatewayCertificate } from "../../gateway-parts.ts";
import type { Manifest } from "../manifests.ts";

/** A certificate of a Gateway's listener. */
export interface ListenerCertificate extends GatewayCertificate {
  /** The names in it. */
  readonly names: readonly string[];
}

interface Wildcard {
  /** Undefined: the file. */
  readonly gateway: Manifest | undefined;
  readonly names: readonly string[];
}

/**
 * The certificates that a listener of Perch presents: those of the file, then of Gateways by age. The more specific
 * server name counts, so a Gateway would take the clients of an older one's wildcard by naming one of its hosts.
 */
export class PresentedCertificates {
  readonly #wildcards = new Map<string, Wildcard>();
  #all: readonly GatewayCertificate[] = [];

  constructor(file: TlsSpec | undefined) {
    // Their hosts are all that is known of them here.
    for (const { hosts } of file?.certificates ?? []) this.#know({ gateway: undefined, names: hosts }, hosts);
  }

  get all(): readonly GatewayCertificate[] {
    return this.#all;
  }

  add({ names, ...certificate }: ListenerCertificate, gateway: Manifest): void {
    const asked = certificate.hosts ?? names;
    const hosts = asked.filter((host) => !this.#isOthers(host, gateway));
    this.#know({ gateway, names }, hosts);
    if (hosts.length === asked.length) this.#all = withCertificate(this.#all, certificate);
    else if (hosts.length > 0) this.#all = withCertificate(this.#all, { ...certificate, hosts });
  }

  #know(wildcard: Wildcard, hosts: readonly string[]): void {
    for (const host of hosts) {
      if (host.startsWith("*.") && !this.#wildcards.has(host)) this.#wildcards.set(host, wildcard);
    }
  }

  /** Whether clients of this host get a certificate that is valid for it without this Gateway's. */
  #isOthers(host: string, gateway: Manifest): boolean {
    const wildcard = host.replace(/^[^.]+/, "*");
    if (host === wildcard) return false;
    const known = this.#wildcards.get(wildcard);
    return (
      known !== undefined && known.gateway !== gateway && [host, wildcard].some((one) => known.names.includes(one))
    );
  }
}

function withCertificate(all: readonly GatewayCertificate[], one: GatewayCertificate): readonly GatewayCertificate[] {
  const at = all.findIndex(({ certFile }) => certFile === one.certFile);
  const known = all[at];
  if (known === undefined) return [...all, one];
  const { hosts: _, ...files } = one;
  if (known.hosts === undefined || one.hosts === undefined) return all.with(at, files);
  return all.with(at, { ...files, hosts: [...new Set([...known.hosts, ...one.hosts])] });
}
