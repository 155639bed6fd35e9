import { bindAddress, resourceName } from "./domain-scalars.ts";
import { object, required } from "./kit/object.ts";

/** One address that requests come in by. */
export const listenerSchema = object(
  {
    name: required("The listener's name.", resourceName),
    address: required("host:port to accept requests on; [::]:8080 for IPv6.", bindAddress),
  },
  { what: "a listener", later: ["tls", "proxyProtocol", "h2c"] },
);
