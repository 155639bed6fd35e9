import { once } from "node:events";
import { createServer } from "node:net";

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** What `/readyz` says, while the admin server may not listen yet. */
export async function readiness(adminPort: number): Promise<string> {
  try {
    const response = await fetch(`http://127.0.0.1:${adminPort}/readyz`);
    return `${response.status} ${(await response.text()).trim()}`;
  } catch {
    return "no admin server";
  }
}
