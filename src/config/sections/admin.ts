import type { CompileContext } from "../compile-context.ts";
import type { AdminAccess } from "../compiled-config.ts";
import { bindAddress, secretPath } from "../scalars.ts";
import { defaulted, object, optional } from "../schema-kit/object.ts";
import { oneOf } from "../schema-kit/scalars.ts";
import type { Infer } from "../schema-kit/schema.ts";

export const adminSchema = object(
  {
    address: defaulted(
      'host:port of the admin server; "*:9901" for every address of the machine.',
      bindAddress,
      "127.0.0.1:9901",
    ),
    tokenFile: optional(
      "A file of bearer tokens, one per line, at least 32 bytes each. Requests that change anything need one.",
      secretPath,
    ),
    withoutToken: optional(
      "What callers from other machines get without a token: probes-and-metrics, or everything that only reads " +
        "(anyone-may-read). Required if address is reachable from other machines and there is no tokenFile. " +
        "Default: probes-and-metrics.",
      oneOf(["probes-and-metrics", "anyone-may-read"]),
    ),
  },
  { what: "admin" },
);

export type AdminConfig = Infer<typeof adminSchema>;

export function compileAdmin(admin: AdminConfig, context: CompileContext): AdminAccess {
  const { tokenFile, withoutToken } = admin;
  checkExposure(admin, context);
  return {
    tokens: tokenFile === undefined ? [] : context.secrets(tokenFile, context.parsing.spanOf(admin, "tokenFile")),
    withoutToken: withoutToken ?? "probes-and-metrics",
  };
}

/** The admin server exposes upstream addresses and decisions, so access from other machines must be explicit. */
function checkExposure(admin: AdminConfig, { parsing }: CompileContext): void {
  const { address, tokenFile, withoutToken } = admin;
  if (address.host === "::1" || address.host.startsWith("127.")) return;
  const span = parsing.spanOf(admin, "address");
  if (withoutToken === "anyone-may-read") {
    const message = "anyone who can reach the admin server may read everything on it";
    parsing.warn(
      parsing.spanOf(admin, "withoutToken"),
      "risky",
      message,
      "withoutToken: probes-and-metrics is enough for Kubernetes and Prometheus",
    );
  }
  if (tokenFile !== undefined || withoutToken !== undefined) return;
  const message = "the admin server is reachable from other machines, and there is no tokenFile";
  parsing.error(
    span,
    "missing-key",
    message,
    "set tokenFile, or withoutToken: probes-and-metrics (or anyone-may-read)",
  );
}
