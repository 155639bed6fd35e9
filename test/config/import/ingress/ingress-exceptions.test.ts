import { describe, expect, test } from "vitest";
import { importManifests } from "../../../../src/config/import/import-manifests.ts";
import { imported } from "../asked.ts";
import { answers, ingress, main, web } from "./ingresses.ts";

const controller = (data: Readonly<Record<string, string>>) => `
apiVersion: v1
kind: ConfigMap
metadata: { name: ingress-nginx-controller, namespace: ingress-nginx }
data: ${JSON.stringify(data)}
---${secure}`;

const secure = main.replace("spec: {", "spec: { tls: [{ hosts: [shop.example.com], secretName: s }],");
const challenge = ingress("solver", {}, [{ path: "/.well-known/acme-challenge/token", service: "solver" }]);

const notesOf = (yaml: string) => importManifests([{ file: "cluster.yaml", text: yaml }]).notes;
const lostIn = (yaml: string) => notesOf(yaml).flatMap(({ lostProtection, what }) => (lostProtection ? [what] : []));

describe("Redirects to https", () => {
  test("paths of ACME challenges have none, as by default", () => {
    const ask = answers(`${secure}---${challenge}`);
    expect(ask({ url: "/.well-known/acme-challenge/token" })).toBe("solver/stable");
    expect(ask({ url: "/cart" })).toBe("308 https://shop.example.com/cart");
  });

  test("no-tls-redirect-locations replaces that list, and comes before force-ssl-redirect", () => {
    const plain = ingress("plain", { "force-ssl-redirect": "true" }, [{ path: "/plain/x", service: "plain" }]);
    const map = controller({ "no-tls-redirect-locations": "/plain, /other" });
    const ask = answers(`${map}---${challenge}---${plain}`);
    expect(ask({ url: "/plain/x" })).toBe("plain/stable");
    expect(ask({ url: "/.well-known/acme-challenge/token" })).toMatch(/^308 https/);
  });

  test("they have the status of the controller's http-redirect-code, as those to www have", () => {
    const www = ingress("other", { "from-to-www-redirect": "true" }, [{ path: "/", service: "o" }], "o.example");
    const ask = answers(`${controller({ "http-redirect-code": "301" })}---${www}`);
    expect(ask({ url: "/cart" })).toBe("301 https://shop.example.com/cart");
    expect(ask({ host: "www.o.example" })).toBe("301 http://o.example/");
  });

  test("app-root of any path redirects the root of its host", () => {
    const yaml = ingress("app", { "app-root": "/app/home" }, [{ path: "/app", service: "app" }]);
    expect(answers(yaml)({ url: "/" })).toBe("302 /app/home");
    expect(answers(yaml)({ url: "/app" })).toBe("app/stable");
    expect(imported(yaml).notes.join("\n")).not.toContain("app-root: only");
  });
});

test("redirects and rewrites of an Ingress for all other hosts have no effect, in ingress-nginx either", () => {
  const values = {
    "permanent-redirect": "https://a.example/",
    "rewrite-target": "/error",
    "force-ssl-redirect": "true",
    "whitelist-source-range": "10.0.0.0/8",
  };
  const all = ingress("all", values, []).replace(
    /rules: .*/,
    "defaultBackend: { service: { name: all, port: { number: 80 } } } }",
  );
  const { config, notes } = imported(`${all}---${ingress("any", {}, [{ path: "/Any", service: "any" }], "")}`);
  expect(config).not.toMatch(/redirect:|rewrite:|regex:/);
  expect(config).toContain("10.0.0.0/8");
  expect(notes.join("\n")).toContain(
    "Ingress shop/all: permanent-redirect, rewrite-target, force-ssl-redirect have no effect on an Ingress for all other hosts, in ingress-nginx either",
  );
});

describe("Rewrites of what follows a prefix", () => {
  test.each([
    // Of /shop alone nginx makes /api/.
    ["/api/$2", /replacement: \/api\/\$2\s/],
    ["/$2", /rewrite:\s+prefix: \/\s/],
    // Here /shop/cart becomes /apicart.
    ["/api$2", /replacement: \/api\$2\s/],
    ["/api$1$2", /replacement: \/api\$1\$2\s/],
  ])("%s", (target, wanted) => {
    expect(web({ "rewrite-target": target }, "/shop(/|$)(.*)", "ImplementationSpecific").config).toMatch(wanted);
  });
});

describe("Lost protection", () => {
  const one = (values: Readonly<Record<string, string>>) => ingress("web", values, [{ path: "/", service: "shop" }]);

  test.each([
    ["a limit of 0, which is off", { "limit-rps": "0", "limit-connections": "0" }],
    ["no verification of clients", { "auth-tls-secret": "shop/ca", "auth-tls-verify-client": "off" }],
    ["the download rate", { "limit-rate": "100", "limit-rate-after": "1" }],
    ["clients without a limit", { "limit-rps": "5", "limit-whitelist": "10.0.0.0/8" }],
    ["what nginx checks after a redirect", { "permanent-redirect": "https://a.example/", "auth-url": "http://auth" }],
    [
      "addresses that nginx checks after a redirect",
      { "permanent-redirect": "https://a.example/", "whitelist-source-range": "10.0.0.0/8" },
    ],
  ])("%s is none", (_what, values: Record<string, string>) => {
    expect(lostIn(one(values))).toEqual([]);
  });

  test("statuses and sessions of the controller are none", () => {
    const map = controller({ "limit-req-status-code": "429", "ssl-session-cache": "true", "ssl-buffer-size": "4k" });
    expect(lostIn(map)).toEqual([]);
    expect(lostIn(controller({ "ssl-ciphers": "X", "limit-conn-zone-variable": "x" }))).not.toEqual([]);
  });

  test("annotations of another prefix, which a controller can have, stand first if they protect", () => {
    const yaml = one({}).replace(
      "annotations: {}",
      'annotations: { "ingress.kubernetes.io/whitelist-source-range": "10.0.0.0/8", "x.example/auth-url": "a", "x.example/colour": "red" }',
    );
    const [first, ...others] = lostIn(yaml);
    expect(first).toContain("ingress.kubernetes.io/whitelist-source-range, x.example/auth-url");
    expect(others).toEqual([]);
    expect(imported(yaml).notes.join("\n")).toContain("annotations of other controllers: x.example/colour");
  });
});

describe("Notes that would be false", () => {
  test("service-upstream is what Perch does", () => {
    expect(web({ "service-upstream": "true" }).notes).toEqual([]);
  });

  test("a canary of what is only redirected is left out, and its values are not doubted", () => {
    const redirect = ingress("web", { "permanent-redirect": "https://a.example/" }, [{ path: "/", service: "shop" }]);
    const canary = ingress("next", { canary: "true", "canary-weight": "5" }, [{ path: "/", service: "next" }]);
    const { notes } = imported(`${redirect}---${canary}`);
    expect(notes.filter((note) => note.startsWith("Ingress shop/next"))).toEqual([
      "Ingress shop/next: the requests of shop.example.com/ are only redirected, so it had no effect: left out",
    ]);
  });

  test("an empty annotation is none", () => {
    expect(web({ "whitelist-source-range": "", "auth-url": "" }).notes).toEqual([]);
  });

  test("a second canary is left out as a whole", () => {
    const canary = (name: string, values: Readonly<Record<string, string>>) =>
      ingress(name, { canary: "true", ...values }, [{ path: "/", service: name }]);
    const yaml = [main, canary("next", { "canary-weight": "5" }), canary("beta", { "canary-by-cookie": "beta" })];
    const { notes } = imported(yaml.join("---"));
    expect(notes.filter((note) => note.startsWith("Ingress shop/beta"))).toHaveLength(1);
  });
});

test("the port of the Pods of a headless Service has to be known", () => {
  const service = `
apiVersion: v1
kind: Service
metadata: { name: shop, namespace: shop }
spec: { clusterIP: None, ports: [{ name: http, port: 80, targetPort: web }] }
---`;
  const { config, notes } = imported(`${service}${main}`);
  expect(config).toMatch(/endpoints:\s+- dns: shop\.shop\s+port: 80\n/);
  expect(notes.join("\n")).toContain(
    "Service shop/shop is headless, and its targetPort web is a name of the Pods' port, which is not known here: 80 is written",
  );
});
