/** Where an endpoint is, and who it is. */
export interface EndpointAddress {
  /** `http://host:port` or `https://host:port`: what logs, metrics and people call it. */
  readonly origin: string;
  readonly scheme: "http" | "https";
  /** A name or an IP address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** The address that an origin with its port written out names. */
export function addressOf(origin: string): EndpointAddress {
  const { hostname, port, protocol } = new URL(origin);
  const scheme = protocol === "https:" ? "https" : "http";
  return Object.freeze({
    origin,
    scheme,
    host: hostname.replace(/^\[|\]$/g, ""),
    // URL leaves out a scheme's own port.
    port: port === "" ? (scheme === "https" ? 443 : 80) : Number(port),
  });
}
