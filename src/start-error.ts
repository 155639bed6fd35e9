import type { AddressInfo } from "node:net";
import type { BindAddress } from "./config/compiled-config.ts";

/** Perch can not start as told; each problem is a line for the person who started it. */
export class StartError extends Error {
  override readonly name = "StartError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

/** Turns what the system says about an address into a line that says what to do. */
export async function bound<T>(what: string, { host, port }: BindAddress, listen: () => Promise<T>): Promise<T> {
  try {
    return await listen();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    const hint = bindHints[code] ?? code;
    throw new StartError([`perch: ${what} can not listen on ${host}:${port}: ${hint}`]);
  }
}

const bindHints: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use (EADDRINUSE); stop the other process or choose another port",
  EACCES: "permission denied (EACCES); ports below 1024 need a privilege, choose a higher one",
  EADDRNOTAVAIL: "this machine has no such address (EADDRNOTAVAIL)",
  ENOTFOUND: "the host name is not known (ENOTFOUND)",
};

export function formatAddress({ address, port, family }: AddressInfo): string {
  return family === "IPv6" ? `[${address}]:${port}` : `${address}:${port}`;
}
