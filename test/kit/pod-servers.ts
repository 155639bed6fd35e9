import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { freeAfterTest } from "./freed.ts";

export interface PodServer {
  readonly address: string;
  readonly server: Server;
  /** Accepted so far. */
  readonly connections: () => number;
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server on each of these loopback addresses, all on one port, as the Pods of a Deployment. Default: says its address. */
export async function podServers(addresses: readonly string[], answer?: Answer) {
  let port = 0;
  const pods: PodServer[] = [];
  for (const address of addresses) {
    let connections = 0;
    const server = createServer(answer ?? ((_request, response) => void response.end(address)));
    server.on("connection", () => connections++);
    server.listen(port, address);
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
    freeAfterTest(async () => {
      server.close();
      server.closeAllConnections();
    });
    pods.push({ address, server, connections: () => connections });
  }
  return { port, pods };
}
