import { createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LaneConfig, Origins } from "./lane.ts";

const secret = "k".repeat(32);

/** A pin as documented, made without Perch's code. */
export function signedPin(body: string, release = "shop", key = secret): string {
  const digest = createHmac("sha256", key).update(`${release}.${body}`).digest();
  return `${body}.${digest.subarray(0, 16).toString("base64url")}`;
}

const timeouts = "timeouts: { connect: 1s, responseHeaders: 1s, idle: 1s }";

function config(top: string, { stable, canary, refused }: Origins, folder: string): LaneConfig {
  const secretFile = join(folder, "pins.secret");
  writeFileSync(secretFile, secret);
  return {
    top: `${top}
exposeVersion: true
attributes:
  userId: { type: string, from: [{ header: x-user-id }, { cookie: uid }, { query: user, trust: proxies }] }
  region: { type: string, from: [{ header: x-user-region, trust: proxies }, { query: region }] }
  vip: { type: boolean, from: [{ cookie: vip, trust: proxies }] }
  appVersion: { type: semver, from: [{ header: x-app-version }] }
releases:
  shop:
    sticky: { by: userId, cookie: { secretFile: ${secretFile} } }
    override: { header: x-perch-version, cookie: perch-version, query: perch-version, allowFrom: [127.0.0.0/8] }
    rules:
      - { name: east, when: { region: [cn-east, cn-south] }, use: canary }
      - { name: important, when: { vip: true }, use: canary }
      - { name: new-apps, when: { appVersion: { semver: ">=4" } }, use: canary }
    split: { stable: 100, canary: 0 }
  drawn:
    sticky: { by: userId, whenWeightsChange: hold, epoch: 3, cookie: { path: /drawn, secretFile: ${secretFile} } }
    split: { stable: 50, canary: 50 }`,
    services: `
  shop:
    versions: { stable: { endpoints: ["${stable}"] }, canary: { endpoints: ["${canary}"] } }
    ${timeouts}
  plain: { versions: { only: { endpoints: ["${stable}"] } }, ${timeouts} }
  dead: { versions: { only: { endpoints: ["${refused}"] } }, ${timeouts} }
  half-dead:
    versions: { stable: { endpoints: ["${stable}"] }, canary: { endpoints: ["${refused}"] } }
    ${timeouts}`,
    routes: `
  - { name: by-host, match: { hosts: [other.example, "*.wild.example"] }, service: plain }
  - { name: by-header, match: { headers: { x-api: { exists: true } } }, service: plain }
  - { name: by-method, match: { path: { prefix: /written }, methods: [POST, PUT] }, service: plain }
  - { name: plain, match: { path: { prefix: /plain } }, service: plain }
  - { name: drawn, match: { path: { prefix: /drawn } }, service: shop, release: drawn }
  - { name: dead, match: { path: { prefix: /dead } }, service: dead }
  - { name: half-dead, match: { path: { prefix: /half-dead } }, service: half-dead, release: shop }
  - { name: shop, match: { hosts: [shop.example, "127.0.0.1"] }, service: shop, release: shop }`,
  };
}

/** The caller is a trusted proxy. */
export function trusting(origins: Origins, folder: string): LaneConfig {
  return config("trustedProxies: [127.0.0.0/8]", origins, folder);
}

/** No caller is trusted. */
export function untrusting(origins: Origins, folder: string): LaneConfig {
  return config("", origins, folder);
}

/** Small limits. */
export function limited(origins: Origins, folder: string): LaneConfig {
  return config("limits: { headers: 1KiB, headerCount: 12, body: 64 }", origins, folder);
}

/** Every request is mirrored to canary, unless canary serves it. */
export function mirroring(origins: Origins, folder: string): LaneConfig {
  const { top, ...rest } = trusting(origins, folder);
  const split = "split: { stable: 100, canary: 0 }";
  const mirror = "mirror: { version: canary, percent: 100, methods: [GET, HEAD, POST], maxBody: 16 }";
  return { ...rest, top: top.replace(split, `${split}\n    ${mirror}`) };
}

/** Tracing without an exporter. */
export function tracing(origins: Origins, folder: string): LaneConfig {
  const { top, ...rest } = mirroring(origins, folder);
  return { ...rest, top: `${top}\ntracing: { sample: 0 }` };
}
