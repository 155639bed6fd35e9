import { readFileSync } from "node:fs";
import { posix } from "node:path";
import { describe, expect, test } from "vitest";
import type { LoadResult } from "../../src/config/load.ts";
import { perch } from "../cli/captured-terminal.ts";
import { guide, guideBlock } from "./guide.ts";
import { build, buildIn, type Container, configIn, find, kustomizeNeeds, type Manifest } from "./manifests.ts";

const before = "deploy/examples/ingress-nginx/before.yaml";

interface Fitted {
  readonly manifests: readonly Manifest[];
  readonly config: Extract<LoadResult, { ok: true }>;
  readonly container: Container;
}

/** The file that `perch import` writes, unchanged, in a kustomization over the base, as the cluster would load it. */
async function fitted(
  imported: string,
  kustomization: string,
  more: Readonly<Record<string, string>> = {},
): Promise<Fitted> {
  const { code, out } = await perch(["import", imported]);
  expect(code).toBe(0);
  const manifests = await buildIn({ "kustomization.yaml": kustomization, "perch.yaml": out, ...more });
  const config = configIn(manifests, "perch-config");
  if (!config.ok) throw new Error(JSON.stringify(config.problems));
  const [container] = find(manifests, "Deployment", "perch").spec.template.spec.containers;
  return { manifests, config, container };
}

/** The folders that the container mounts. */
const mountsOf = ({ volumeMounts = [] }: Container) => volumeMounts.map(({ mountPath }) => mountPath);

describe.skipIf(kustomizeNeeds !== "")(`the file that perch import writes, over the base${kustomizeNeeds}`, () => {
  const imported = () => fitted(before, guideBlock("newName: registry.example.com"));

  test("has the admin server where the probes of the Pods ask", async () => {
    const { config, container } = await imported();
    const port = container.ports.find(({ name }) => name === "admin")?.containerPort;
    expect(config.compiled.admin).toEqual({ host: "*", port });
    expect(config.compiled.adminAccess.withoutToken).toBe("probes-and-metrics");
  });

  test("listens where the Service leads", async () => {
    const { manifests, config, container } = await imported();
    const listening = config.compiled.listeners.map(({ address }) => address);
    const reached = find(manifests, "Service", "perch").spec.ports.map(
      ({ targetPort }) => container.ports.find(({ name }) => name === targetPort)?.containerPort,
    );
    expect(listening).toEqual(reached.map((port) => ({ host: "*", port })));
  });

  test("signs the pins of every release with the Secret that all replicas mount", async () => {
    const { config, container } = await imported();
    expect(config.compiled.unsignedReleases).toEqual([]);
    expect(config.compiled.releases.length).toBeGreaterThan(0);
    expect(config.compiled.files).toEqual(["/run/secrets/perch/sticky-secret"]);
    for (const file of config.compiled.files) expect(mountsOf(container)).toContain(posix.dirname(file));
  });
});

describe.skipIf(kustomizeNeeds !== "")(
  `an imported file with a certificate, over the component tls${kustomizeNeeds}`,
  () => {
    const overlay = (name: string) =>
      readFileSync(new URL(`../../deploy/overlays/tls/${name}`, import.meta.url), "utf8");
    const imported = () =>
      fitted("test/deploy/with-tls.yaml", overlay("kustomization.yaml"), {
        "certificates.yaml": overlay("certificates.yaml"),
        "load-balancer.yaml": overlay("load-balancer.yaml"),
        "drain.yaml": overlay("drain.yaml"),
      });

    test("listens where the Service leads, with TLS at 443", async () => {
      const { manifests, config, container } = await imported();
      const servicePorts = find(manifests, "Service", "perch").spec.ports.map(({ port, targetPort }) => [
        container.ports.find(({ name }) => name === targetPort)?.containerPort,
        port === 443 ? "tls" : "plain",
      ]);
      const listening = config.compiled.listeners.map(({ address, tls }) => [
        "port" in address ? address.port : address.path,
        tls === undefined ? "plain" : "tls",
      ]);
      expect(listening.sort()).toEqual(servicePorts.sort());
    });

    test("reads certificates where the Pods mount them", async () => {
      const { manifests, config, container } = await imported();
      const { volumes = [] } = find(manifests, "Deployment", "perch").spec.template.spec;
      const mounted = volumes.flatMap(({ projected }) =>
        (projected?.sources ?? []).flatMap(({ secret }) => secret.items.map(({ path }) => `/etc/perch/tls/${path}`)),
      );
      const read = config.compiled.files.filter((file) => !file.startsWith("/run/secrets/perch/"));
      expect(read.toSorted()).toEqual(mounted.toSorted());
      expect(mountsOf(container)).toContain("/etc/perch/tls");
    });
  },
);

test.skipIf(kustomizeNeeds !== "")(`the base has the ports and files of the guide's table${kustomizeNeeds}`, () => {
  const [container] = find(build("deploy/overlays/tls"), "Deployment", "perch").spec.template.spec.containers;
  for (const { containerPort } of container.ports) expect(guide).toContain(`\`"*:${containerPort}"\``);
  expect(guide).toContain("`/run/secrets/perch/sticky-secret`");
});
