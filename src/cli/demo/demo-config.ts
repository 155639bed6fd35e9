export type VersionName = "stable" | "canary";

/** Per cent of the users that no rule takes, 100 together. */
export type DemoSplit = Readonly<Record<VersionName, number>>;

/** A version of the demo's shop, and the number of its release. */
export interface DemoVersion {
  readonly name: VersionName;
  readonly number: string;
}

export const demoVersions: readonly [DemoVersion, DemoVersion] = [
  { name: "stable", number: "1.7.9" },
  { name: "canary", number: "1.8.0" },
];

/** The one rule of the demo, and the version that it assigns. */
export const demoRule = { name: "new-users-in-the-east", version: "canary" } as const;

/** What the generated configuration is filled with. Ports may be 0 for any that is free. */
export interface DemoConfigInput {
  readonly proxyPort: number;
  readonly adminPort: number;
  /** By version name. */
  readonly origins: Readonly<Record<VersionName, string>>;
  readonly split: DemoSplit;
}

/** The demo's configuration, as a user would write it. */
export function demoConfig({ proxyPort, adminPort, origins, split }: DemoConfigInput): string {
  return `listeners:
  - { name: web, address: "127.0.0.1:${proxyPort}" }
admin: { address: "127.0.0.1:${adminPort}" }
exposeVersion: true
accessLog: { sample: 0 }

attributes:
  userId:       { type: string, from: [{ header: x-user-id }] }
  region:       { type: string, from: [{ header: x-user-region }] }
  registeredAt: { type: time, from: [{ header: x-user-registered-at }] }

services:
  shop:
    default: stable
    versions:
      stable: { endpoints: ["${origins.stable}"] }
      canary: { endpoints: ["${origins.canary}"] }

releases:
  shop:
    sticky: { by: userId }
    rules:
      - name: ${demoRule.name}
        when: { region: cn-east, registeredAt: { after: 2026-01-01 } }
        use: ${demoRule.version}
    split: { stable: ${split.stable}, canary: ${split.canary} }

routes:
  - { name: shop, service: shop, release: shop }
`;
}
