/** The certificate that every proxy shows where clients speak TLS: ECDSA P-256, of the tests. */
import { fileURLToPath } from "node:url";

const path = (name: string) => fileURLToPath(new URL(`../test/kit/pki/${name}`, import.meta.url));

export const certFile: string = path("shop.pem");
export const keyFile: string = path("shop.key.pem");
