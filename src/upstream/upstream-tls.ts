/** How the https endpoints of a service are known, and what they are shown. */
export interface UpstreamTls {
  /** PEM: the authorities that count in place of the system's. */
  readonly ca: Uint8Array | undefined;
  /** What the endpoint is shown if it asks (mutual TLS): PEM, the chain and its key. */
  readonly client: { readonly chain: Uint8Array; readonly key: Uint8Array } | undefined;
  /** Whom certificates must name, and the name that is asked for (SNI). Default: each endpoint's own. */
  readonly serverName: string | undefined;
  readonly verify: "certificates" | "nothing";
  /** Of all of these: connections are kept where it stays the same. */
  readonly digest: string;
}
