import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { importManifests } from "../../../src/config/import/import-manifests.ts";
import { stickySecretFile } from "../../../src/config/import/write-draft.ts";
import { createEngine, type EngineRequest } from "../../../src/index.ts";
import { certFile, keyFile } from "../../kit/pki.ts";

export interface ImportedConfig {
  readonly config: string;
  /** "where: what", one per note. */
  readonly notes: readonly string[];
  /** The version that serves a request as `service/version`; undefined if no route matches. */
  served(request: Partial<EngineRequest>): string | undefined;
  /** The share of new visitors that this version serves. */
  share(version: string, request?: Partial<EngineRequest>): number;
}

const visitors = 2_000;

/** The secret of pins, where the result expects it on the machine that serves. */
const secretFile = join(mkdtempSync(join(tmpdir(), "perch-import-")), "sticky-secret");
writeFileSync(secretFile, "a-secret-of-at-least-32-bytes-for-tests");

/** The configuration with files of this machine: the secret of pins, and the certificate of every listener. */
export function runnable(config: string): string {
  return config
    .replaceAll(stickySecretFile, secretFile)
    .replaceAll(/\/etc\/perch\/tls\/\S+\/tls\.crt/g, certFile("shop"))
    .replaceAll(/\/etc\/perch\/tls\/\S+\/tls\.key/g, keyFile("shop"))
    .replaceAll(/\/etc\/perch\/tls\/\S+\/ca\.crt/g, certFile("authority"));
}

/** Imports YAML, and decides requests by the resulting configuration. */
export function imported(yaml: string): ImportedConfig {
  const result = importManifests([{ file: "cluster.yaml", text: yaml }]);
  if (!result.ok) throw new Error(result.problem);
  expect(result.defects).toEqual([]);
  const engine = createEngine(runnable(result.config), { env: {} });
  const decide = (request: Partial<EngineRequest>) => {
    const headers = { host: "shop.example.com", ...request.headers };
    return engine.decide({ method: "GET", url: "/", ...request, headers });
  };
  return {
    config: result.config,
    notes: result.notes.map(({ where, what }) => `${where}: ${what}`),
    served(request) {
      const { service, served } = decide(request);
      return service === null ? undefined : `${service}/${served}`;
    },
    share(version, request = {}) {
      let count = 0;
      for (let visitor = 0; visitor < visitors; visitor++) if (decide(request).served === version) count++;
      return count / visitors;
    },
  };
}
