import type { CompileContext } from "../compile-context.ts";
import type { AdminAccess } from "../compiled-config.ts";
import { bindAddress, filePath } from "../scalars.ts";
import { defaulted, object, optional } from "../schema-kit/object.ts";
import { oneOf } from "../schema-kit/scalars.ts";
import type { Infer } from "../schema-kit/schema.ts";

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

export type AdminConfig = Infer<typeof adminSchema>;

export function compileAdmin(admin: AdminConfig, context: CompileContext): AdminAccess {
  const { tokenFile, withoutToken } = admin;
  checkOpenness(admin, context);
  return {
    tokens: tokenFile === undefined ? [] : context.secrets(tokenFile, context.parsing.spanOf(admin, "tokenFile")),
    withoutToken: withoutToken ?? "probes-and-metrics",
  };
}

/** Who can reach the admin server learns where upstreams are and who is decided how; that must be meant. */
function checkOpenness(admin: AdminConfig, { parsing }: CompileContext): void {
  const { address, tokenFile, withoutToken } = admin;
  if (address.host === "::1" || address.host.startsWith("127.")) return;
  const span = parsing.spanOf(admin, "address");
  if (withoutToken === "anyone-may-read") {
    const message = "whoever reaches the admin server may read all of it";
    parsing.warn(
      parsing.spanOf(admin, "withoutToken"),
      "risky",
      message,
      "withoutToken: probes-and-metrics is enough for Kubernetes and Prometheus",
    );
  }
  if (tokenFile !== undefined || withoutToken !== undefined) return;
  const message = "the admin server would be open beyond this machine, and there is no tokenFile";
  parsing.error(
    span,
    "missing-key",
    message,
    "name one, or write withoutToken: probes-and-metrics (or anyone-may-read)",
  );
}
