import { perch, upstream } from "./freed.ts";
import { shopAt } from "./one-service.ts";
import type { TestPerchOptions } from "./perch.ts";
import { certificateYaml } from "./pki.ts";

export const shopTls = `certificates: [${certificateYaml("shop")}]`;

/** A listener with these `tls` settings on a free port. */
export const tlsListener = (tls: string): string => `{ name: web, address: "127.0.0.1:0", tls: { ${tls} } }`;

/** Perch with one TLS listener in front of one service. */
export async function tlsPerch(tls: string, more = "", options: TestPerchOptions = {}) {
  const shop = await upstream("stable");
  const started = await perch(shopAt(shop.origin, more), { listeners: tlsListener(tls), ...options });
  return { shop, perch: started };
}
