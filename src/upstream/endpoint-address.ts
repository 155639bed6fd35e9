/** Where a socket is, in the words of node:net: connect there by `connect({ ...place })`. */
export type SocketPlace = { readonly host: string; readonly port: number } | { readonly path: string };

/** Where an endpoint is, and who it is. */
export interface EndpointAddress {
  /** `http://host:port`, `https://host:port` or `unix:/path`: what logs, metrics and people call it. */
  readonly origin: string;
  readonly scheme: "http" | "https";
  /** A name or an IP address, IPv6 without brackets: whom a TLS certificate must name. */
  readonly host: string;
  readonly place: SocketPlace;
}

/** The address that an origin with its port written out names. */
export function addressOf(origin: string): EndpointAddress {
  const { hostname, port, protocol } = new URL(origin);
  const scheme = protocol === "https:" ? "https" : "http";
  const host = hostname.replace(/^\[|\]$/g, "");
  // URL leaves out a scheme's own port.
  const place = { host, port: port === "" ? (scheme === "https" ? 443 : 80) : Number(port) };
  return Object.freeze({ origin, scheme, host, place: Object.freeze(place) });
}

/** A socket of this machine, by its path. */
export function unixAddress(path: string): EndpointAddress {
  return Object.freeze({ origin: `unix:${path}`, scheme: "http", host: "localhost", place: Object.freeze({ path }) });
}
