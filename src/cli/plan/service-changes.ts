import { isDeepStrictEqual } from "node:util";
import type { ServiceConfig } from "../../config/service-schema.ts";
import type { ServiceSpec } from "../../upstream/service-spec.ts";

/** A service as it is written, and as the stages get it. */
export interface ServicePair {
  readonly name: string;
  readonly written: ServiceConfig;
  readonly spec: ServiceSpec;
}

/** How two services of one name differ, beside their versions; undefined where they do not. */
export function serviceDetail(old: ServicePair, next: ServicePair): string | undefined {
  const [before, after] = [old.written, next.written];
  const parts = [
    ...wordChange("default", old.spec.defaultVersion, next.spec.defaultVersion),
    ...wordChange("protocol", before.protocol, after.protocol),
    ...wordChange("balance", before.balance, after.balance),
    ...wordChange("external", before.external, after.external),
    ...sectionChanges("timeouts", before.timeouts, after.timeouts),
    ...tlsChanges(old, next),
    ...sectionChanges("health", before.health, after.health),
    ...sectionChanges("outlier", before.outlier, after.outlier),
    ...sectionChanges("retries", before.retries, after.retries),
    ...sectionChanges("limits", before.limits, after.limits),
  ];
  return parts.length === 0 ? undefined : parts.join(", ");
}

/** `requestHeaders` and `responseHeaders` are all that a version has beside its endpoints. */
export function versionDetail(
  old: ServiceConfig["versions"][number],
  next: ServiceConfig["versions"][number],
): string | undefined {
  const keys = ["requestHeaders", "responseHeaders"] as const;
  const parts = keys.filter((key) => !isDeepStrictEqual(old.value[key], next.value[key]));
  return parts.length === 0 ? undefined : parts.join(", ");
}

function wordChange(name: string, old: string | boolean, next: string | boolean): string[] {
  return old === next ? [] : [`${name} ${old} → ${next}`];
}

/** A section that comes or goes, or the keys that differ in it: what they were stands in the two files. */
function sectionChanges(name: string, old: object | undefined, next: object | undefined): string[] {
  if (old === undefined || next === undefined) {
    if (old === next) return [];
    return [`${name} ${old === undefined ? "off → on" : "on → off"}`];
  }
  const [before, after] = [new Map(Object.entries(old)), new Map(Object.entries(next))];
  const keys = [...new Set([...before.keys(), ...after.keys()])];
  return keys.filter((key) => !isDeepStrictEqual(before.get(key), after.get(key))).map((key) => `${name}.${key}`);
}

/** The files that it names are what counts: another path to the same certificate changes nothing. */
function tlsChanges(old: ServicePair, next: ServicePair): string[] {
  if (old.spec.tls?.digest === next.spec.tls?.digest) return [];
  const written = sectionChanges("tls", old.written.tls, next.written.tls);
  return written.length === 0 ? ["what is in the files of tls"] : written;
}
