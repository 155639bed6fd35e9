import type { Endpoint } from "./endpoint.ts";

/** The endpoints of one version as they are now. A request that reads them twice may see two lists; each is frozen. */
export interface EndpointSet {
  readonly current: readonly Endpoint[];
}
