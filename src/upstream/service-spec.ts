export interface EndpointSpec {
  /** `http://host:port` or `https://host:port`, the port always written out, no path. */
  readonly origin: string;
}

export interface VersionSpec {
  readonly name: string;
  readonly endpoints: readonly EndpointSpec[];
}

export interface Timeouts {
  readonly connectMs: number;
  /** From the end of the request to the response's head. */
  readonly responseHeadersMs: number;
  /** Between two pieces of a body, either way. */
  readonly idleMs: number;
}

export interface ServiceSpec {
  readonly name: string;
  readonly defaultVersion: string;
  readonly versions: readonly VersionSpec[];
  readonly timeouts: Timeouts;
}
