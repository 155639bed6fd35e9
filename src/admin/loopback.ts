import { isIPv4 } from "node:net";

/** IPv4 callers of a server that listens on `::` come as IPv6 addresses that hold theirs. */
export const isLoopbackAddress = (address: string): boolean => {
  const host = address.replace(/^::ffff:/i, "");
  return host === "::1" || (isIPv4(host) && host.startsWith("127."));
};

/** Whether a server that listens on this host, an IP address or `localhost`, can be reached from this machine only. */
export const isLoopbackHost = (host: string): boolean => host === "localhost" || isLoopbackAddress(host);

/**
 * Whether a Host header names this machine as itself. A page on the web can point its own host name at 127.0.0.1 (DNS
 * rebinding) and then read, in a browser on this machine, whatever listens there; its Host header still tells.
 */
export function namesLoopback(hostHeader: string | undefined): boolean {
  const parts = /^(?:\[([0-9a-f:]+)\]|([^:[\]]+))(?::\d{1,5})?$/i.exec(hostHeader ?? "");
  const host = (parts?.[1] ?? parts?.[2] ?? "").toLowerCase().replace(/\.$/, "");
  // RFC 6761 §6.3: everything below localhost is loopback as well.
  return isLoopbackHost(host) || host.endsWith(".localhost");
}
