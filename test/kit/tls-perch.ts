import { perch, upstream } from "./freed.ts";
import type { TestPerchOptions } from "./perch.ts";
import { certificateYaml } from "./pki.ts";

export const shopTls = `certificates: [${certificateYaml("shop")}]`;

/** A listener that speaks TLS on a free port; `tls` is what stands in its map. */
export const tlsListener = (tls: string): string => `{ name: web, address: "127.0.0.1:0", tls: { ${tls} } }`;

/** One route to one service. */
export const shopAt = (origin: string): string => `
services: { shop: { versions: { stable: { endpoints: ["${origin}"] } } } }
routes: [{ name: all, service: shop }]
`;

/** Perch with one listener that speaks TLS, before one service; `more` is further configuration. */
export async function tlsPerch(tls: string, more = "", options: TestPerchOptions = {}) {
  const shop = await upstream("stable");
  const started = await perch(shopAt(shop.origin) + more, { listeners: tlsListener(tls), ...options });
  return { shop, perch: started };
}
