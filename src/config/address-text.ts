import type { ListenerSpec } from "./compiled-config.ts";

/** An address as the configuration writes it. */
export function addressText(address: Pick<ListenerSpec, "address">["address"] | { readonly path: string }): string {
  if ("path" in address) return `unix:${address.path}`;
  const { host, port } = address;
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
