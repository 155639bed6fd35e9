import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import type { BindAddress } from "../config/compiled-config.ts";
import { bindHostAddress } from "../listener/bind-host.ts";
import { bound } from "./data-plane.ts";

/** Makes the admin server listen, and resolves with the bound address. Rejects with a StartError if it cannot. */
export function bindAdmin(admin: FastifyInstance, address: BindAddress): Promise<AddressInfo> {
  return bound("admin server", address, async () => {
    await admin.listen({ host: await bindHostAddress(address), port: address.port });
    return admin.server.address() as AddressInfo;
  });
}
