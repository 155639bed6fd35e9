import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * Certificates for tests only, valid from 2020 to 2120; nothing trusts them by default. `authority` issued all except
 * `stranger`, which `other-authority` issued, and the self-signed `weak` (RSA 1024). `shop` and `renewed` are both for
 * shop.example and localhost, `wildcard` for *.example.org and example.org; `expired` ended in 2021. `client` and
 * `stranger` are clients' certificates.
 */
export type TestCertificate =
  | "authority"
  | "other-authority"
  | "shop"
  | "renewed"
  | "wildcard"
  | "expired"
  | "weak"
  | "client"
  | "stranger";

const path = (name: string) => fileURLToPath(new URL(`./pki/${name}`, import.meta.url));

export const certFile = (name: TestCertificate): string => path(`${name}.pem`);
export const keyFile = (name: TestCertificate): string => path(`${name}.key.pem`);
export const certPem = (name: TestCertificate): string => readFileSync(certFile(name), "latin1");
export const keyPem = (name: TestCertificate): string => readFileSync(keyFile(name), "latin1");

/** An element of a listener's `certificates`. */
export const certificateYaml = (name: TestCertificate, more = ""): string =>
  `{ certFile: ${certFile(name)}, keyFile: ${keyFile(name)}${more} }`;
