import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { upstream } from "./freed.ts";
import { changeablePerch, temporaryFolder } from "./served.ts";

export const firstToken = "a-first-token-for-tests-of-the-dashboard";

/** A rollout that goes on until somebody acts. */
export const longRollout = `    split: { stable: 100, canary: 0 }
    rollout: { id: "2", candidate: canary, steps: [{ weight: 10, hold: 1h }, { weight: 50, hold: 1h }] }
`;

interface DashboardOptions {
  /** Of the admin server. */
  readonly host?: string;
  readonly hasTokenFile?: boolean;
  /** Default: only with a token, or from this machine. */
  readonly anyoneMayRead?: boolean;
  /** Lines of the release `shop`, indented by four spaces. Default: a split. */
  readonly release?: string;
}

/** Perch on a file, with two versions of a shop, whose admin tokens are in a file, too. */
export async function changeableDashboard(options: DashboardOptions = {}) {
  const { host = "127.0.0.1", hasTokenFile = true, anyoneMayRead = false } = options;
  const { release = "    split: { stable: 80, canary: 20 }\n" } = options;
  const [stable, canary] = [await upstream("stable"), await upstream("canary")];
  const tokens = join(await temporaryFolder(), "tokens");
  await writeFile(tokens, `${firstToken}\n`);
  const textOf = (lines: string) => `listeners: [{ name: web, address: "127.0.0.1:0" }]
admin: { address: "${host}:0"${hasTokenFile ? `, tokenFile: ${tokens}` : ""}${anyoneMayRead ? ", withoutToken: anyone-may-read" : ""} }
services:
  shop:
    default: stable
    versions:
      stable: { endpoints: ["${stable.origin}"] }
      canary: { endpoints: ["${canary.origin}"] }
releases:
  shop:
${lines}routes:
  - { name: shop, service: shop, release: shop }
`;
  const running = await changeablePerch(textOf(release));
  return { ...running, stable, canary, tokens, text: textOf(release), textOf };
}
