import type { CompileContext } from "./compile-context.ts";
import type { AdminAccess } from "./compiled-config.ts";
import type { Config } from "./schema.ts";

export function compileAdmin(admin: Config["admin"], context: CompileContext): AdminAccess {
  const { tokenFile, withoutToken } = admin;
  checkOpenness(admin, context);
  return {
    tokens: tokenFile === undefined ? [] : context.secrets(tokenFile, context.reading.spanOf(admin, "tokenFile")),
    withoutToken: withoutToken ?? "probes-and-metrics",
  };
}

/** Who can reach the admin server learns where upstreams are and who is decided how; that must be meant. */
function checkOpenness(admin: Config["admin"], { reading }: CompileContext): void {
  const { address, tokenFile, withoutToken } = admin;
  if (address.host === "::1" || address.host.startsWith("127.")) return;
  const span = reading.spanOf(admin, "address");
  if (withoutToken === "anyone-may-read") {
    const message = "whoever reaches the admin server may read all of it";
    reading.warn(
      reading.spanOf(admin, "withoutToken"),
      "risky",
      message,
      "withoutToken: probes-and-metrics is enough for Kubernetes and Prometheus",
    );
  }
  if (tokenFile !== undefined || withoutToken !== undefined) return;
  const message = "the admin server would be open beyond this machine, and there is no tokenFile";
  reading.error(
    span,
    "missing-key",
    message,
    "name one, or write withoutToken: probes-and-metrics (or anyone-may-read)",
  );
}
