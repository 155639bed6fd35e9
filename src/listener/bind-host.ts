import { type AddressInfo, createServer } from "node:net";
import type { BindAddress } from "../config/compiled-config.ts";

/**
 * The host for Node's `listen`. Undefined for `*`, where Node listens on `::`, which accepts IPv4 too, and on `0.0.0.0`
 * on a machine without IPv6.
 */
export function bindHost({ host }: Pick<BindAddress, "host">): string | undefined {
  return host === "*" ? undefined : host;
}

/**
 * The same host as an address, for servers that have a default of their own: for `*` what Node takes on this machine,
 * `::` or `0.0.0.0`, found by listening on a free port. Rejects with the error of `listen`.
 */
export async function bindHostAddress(address: Pick<BindAddress, "host">): Promise<string> {
  return bindHost(address) ?? (await everyAddress());
}

function everyAddress(): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const server = createServer();
  server.once("error", reject);
  server.listen({ port: 0 }, () => {
    const { address } = server.address() as AddressInfo;
    server.close(() => resolve(address));
  });
  return promise;
}
