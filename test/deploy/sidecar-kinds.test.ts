import { describe, expect, test } from "vitest";
import { schemaProblems } from "./kubernetes-schema.ts";
import { buildIn, kustomizeNeeds, type Manifest, type PodTemplate } from "./manifests.ts";

const podSpec = "{ containers: [{ name: own, image: own }] }";
const template = `{ metadata: { labels: { app: own } }, spec: ${podSpec} }`;
const jobSpec = `{ template: { metadata: { labels: { app: own } }, spec: { restartPolicy: Never, containers: [{ name: own, image: own }] } } }`;
const apps = `selector: { matchLabels: { app: own } }, template: ${template}`;
const workloads: Readonly<Record<string, string>> = {
  Deployment: `apiVersion: apps/v1\nspec: { ${apps} }`,
  StatefulSet: `apiVersion: apps/v1\nspec: { serviceName: own, ${apps} }`,
  DaemonSet: `apiVersion: apps/v1\nspec: { ${apps} }`,
  Job: `apiVersion: batch/v1\nspec: ${jobSpec}`,
  CronJob: `apiVersion: batch/v1\nspec: { schedule: "0 * * * *", jobTemplate: { spec: ${jobSpec} } }`,
};

/** The Pods' template of a labelled workload after the component. */
async function withSidecar(kind: string, component: string): Promise<PodTemplate> {
  const manifests = await buildIn({
    "kustomization.yaml": `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [workload.yaml]
components: [../../components/${component}]
`,
    "workload.yaml": `kind: ${kind}\nmetadata: { name: own, labels: { perch-sidecar: enabled } }\n${workloads[kind]}\n`,
  });
  expect(manifests.flatMap(schemaProblems)).toEqual([]);
  const [workload] = manifests as readonly (Manifest & { spec: WorkloadSpec })[];
  const found = workload?.spec.template ?? workload?.spec.jobTemplate?.spec.template;
  if (found === undefined) throw new Error(`no Pods' template in ${kind}`);
  return found;
}

interface WorkloadSpec {
  readonly template?: PodTemplate;
  readonly jobTemplate?: { readonly spec: { readonly template: PodTemplate } };
}

const namesIn = ({ spec }: PodTemplate) => ({
  init: (spec.initContainers ?? []).map(({ name }) => name),
  containers: spec.containers.map(({ name }) => name),
});

describe.skipIf(kustomizeNeeds !== "")(`a workload with the label perch-sidecar${kustomizeNeeds}`, () => {
  test.each(Object.keys(workloads))("%s gets a native sidecar, the same as a Deployment", async (kind) => {
    const found = await withSidecar(kind, "sidecar");
    expect(namesIn(found)).toEqual({ init: ["perch"], containers: ["own"] });
    expect(found.metadata.labels).toEqual({ app: "own", "perch-sidecar": "enabled" });
    const deployment = await withSidecar("Deployment", "sidecar");
    expect(found.spec.initContainers).toEqual(deployment.spec.initContainers);
    expect(found.spec.volumes).toEqual(deployment.spec.volumes);
  });

  test.each(["Deployment", "StatefulSet", "DaemonSet"])(
    "%s gets a classic sidecar as its last container, so that kubectl logs shows its own",
    async (kind) => {
      const found = await withSidecar(kind, "sidecar-classic");
      expect(namesIn(found)).toEqual({ init: [], containers: ["own", "perch"] });
      expect(found.spec.volumes?.map(({ name }) => name)).toEqual(["perch-config", "perch-sticky"]);
    },
  );

  test.each(["Job", "CronJob"])("%s gets no classic sidecar, with which it would never complete", async (kind) => {
    const found = await withSidecar(kind, "sidecar-classic");
    expect(namesIn(found)).toEqual({ init: [], containers: ["own"] });
  });
});
