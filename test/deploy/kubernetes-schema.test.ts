import { expect, test } from "vitest";
import { schemaProblems } from "./kubernetes-schema.ts";

const container = { name: "perch", image: "perch-proxy", ports: [{ name: "web", containerPort: 8080 }] };

function deployment(changed: object = {}, spec: object = {}) {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "perch", labels: { any: "label" } },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: "perch" } },
      template: {
        metadata: { labels: { app: "perch" }, annotations: { "any/annotation": "goes" } },
        spec: { containers: [{ ...container, ...changed }] },
      },
      ...spec,
    },
  };
}

const at = "/spec/template/spec/containers/0";

test("takes a Deployment as it should be, with labels of any name", () => {
  expect(schemaProblems(deployment())).toEqual([]);
});

test.each([
  { about: "a misspelt key", manifest: deployment({ imagee: "x" }), wanted: `unknown key ${at}/imagee` },
  {
    about: "a misspelt key deep inside",
    manifest: deployment({ livenessProbe: { httpGet: { path: "/livez", port: "admin", pathh: "/" } } }),
    wanted: `unknown key ${at}/livenessProbe/httpGet/pathh`,
  },
  {
    about: "a key at the wrong level",
    manifest: deployment({}, { terminationGracePeriodSeconds: 40 }),
    wanted: "unknown key /spec/terminationGracePeriodSeconds",
  },
  {
    about: "a key that only the top level lacks",
    manifest: { ...deployment(), sepc: {} },
    wanted: "unknown key /sepc",
  },
  {
    about: "a text where a number belongs",
    manifest: deployment({ ports: [{ containerPort: "8080" }] }),
    wanted: expect.stringContaining("containerPort"),
  },
  {
    about: "a missing key",
    manifest: deployment({ name: undefined }),
    wanted: expect.stringContaining("name"),
  },
  {
    about: "a kind that nobody taught it",
    manifest: { apiVersion: "apps/v1beta1", kind: "Deployment" },
    wanted: "no schema for apps/v1beta1 Deployment",
  },
])("finds $about", ({ manifest, wanted }) => {
  expect(schemaProblems(manifest)).toEqual([wanted]);
});
