/** The certificate of every proxy with TLS: ECDSA P-256, from the tests. */
import { fileURLToPath } from "node:url";

const path = (name: string) => fileURLToPath(new URL(`../test/kit/pki/${name}`, import.meta.url));

export const certFile: string = path("shop.pem");
export const keyFile: string = path("shop.key.pem");
