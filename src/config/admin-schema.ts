import { bindAddress, filePath } from "./domain-scalars.ts";
import { defaulted, object, optional } from "./kit/object.ts";
import { oneOf } from "./kit/scalars.ts";

/** The admin server: metrics, probes and the API. */
export const adminSchema = object(
  {
    address: defaulted("host:port of the admin server.", bindAddress, "127.0.0.1:9901"),
    tokenFile: optional(
      "A file of bearer tokens, one a line, at least 32 bytes each. Whatever changes anything needs one.",
      filePath,
    ),
    withoutToken: optional(
      "What callers from beyond this machine get without a token: probes-and-metrics, or everything that only reads " +
        "(anyone-may-read). To be said where address is open to them and there is no tokenFile. " +
        "Default: probes-and-metrics.",
      oneOf(["probes-and-metrics", "anyone-may-read"]),
    ),
  },
  { what: "admin" },
);
