import { expect, test } from "vitest";
import { certificateOf, Draft } from "../../../src/config/import/draft.ts";
import { writeDraft } from "../../../src/config/import/write-draft.ts";
import { withoutCertificates, writtenListeners } from "../../../src/config/import/written-listeners.ts";
import { loadConfigText } from "../../../src/config/load.ts";

function draftWith(...ports: readonly number[]): Draft {
  const draft = new Draft();
  for (const port of ports) draft.listener(port, port === 443 ? [certificateOf("shop", "shop-tls")] : undefined);
  draft.services.push({
    name: "shop",
    versions: [{ name: "stable", endpoints: ["https://shop:443"] }],
    settings: { tls: { insecureSkipVerify: true } },
  });
  const route = {
    name: "shop",
    match: {},
    service: "shop",
    release: undefined,
    settings: {},
    comment: "",
    sources: [],
  };
  draft.routes.push(route);
  return draft;
}

const addresses = (draft: Draft) => writtenListeners(draft.listeners).map(({ settings }) => settings["address"]);

test.each([
  ["80 and 443 get ports that need no privileges", [80, 443, 8000], ["*:8080", "*:8443", "*:8000"]],
  ["a port of the original that is taken keeps it", [80, 8080], ["*:18080", "*:8080"]],
  ["so do all others below 1024", [81, 1023, 1024], ["*:8081", "*:9023", "*:1024"]],
  ["two of the original that would get one port", [81, 8081, 18_081], ["*:28081", "*:8081", "*:18081"]],
  ["the admin server keeps its port", [9901], ["*:19901"]],
])("%s", (_what, ports, wanted) => {
  expect(addresses(draftWith(...ports))).toEqual(wanted);
});

test("the written listeners load, but for the certificates, whose files are on another machine", () => {
  const config = writeDraft(draftWith(80, 443), [], "", ["x.yaml"]);
  expect(config).toMatch(/# port 443 of the original\n\s+- name: https/);
  expect(config).toContain("certFile: /etc/perch/tls/shop-shop-tls/tls.crt");
  const load = (text: string) =>
    loadConfigText(text, { file: "perch.yaml", env: {}, randomSecret: () => new Uint8Array(32) });
  const written = load(config);
  expect(written.ok ? [] : written.problems.filter(({ severity }) => severity === "error")).toHaveLength(2);
  const loaded = load(withoutCertificates(config));
  expect(loaded.ok && loaded.config.services[0]?.value.tls).toMatchObject({ insecureSkipVerify: true });
  expect(withoutCertificates(config).split("\n")).toHaveLength(config.split("\n").length);
});

test("a listener with TLS never becomes a plain one, even if its certificate is not known", () => {
  const draft = new Draft();
  draft.listener(443, []);
  const [listener] = writtenListeners(draft.listeners);
  expect(listener?.settings["tls"]).toMatchObject({
    certificates: [{ certFile: "/etc/perch/tls/default-certificate/tls.crt" }],
  });
});
