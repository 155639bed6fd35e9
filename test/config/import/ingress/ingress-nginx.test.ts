import { describe, expect, test } from "vitest";
import { importManifests } from "../../../../src/config/import/import-manifests.ts";
import { imported } from "../asked.ts";
import { ingress, main, pair } from "./ingresses.ts";

describe("which requests a canary Ingress gets, by its documentation and balancer.lua", () => {
  const byHeader = { "canary-by-header": "X-Canary" };
  const byValue = { ...byHeader, "canary-by-header-value": "next" };
  const byPattern = { ...byHeader, "canary-by-header-pattern": "^v[0-9]+$" };
  const byCookie = { "canary-by-cookie": "beta" };
  test.each([
    ["always in the header", byHeader, { "x-canary": "always" }, "canary"],
    ["never in the header", byHeader, { "x-canary": "never" }, "stable"],
    [
      "never in the header, with a weight of 100",
      { ...byHeader, "canary-weight": "100" },
      { "x-canary": "never" },
      "stable",
    ],
    [
      "another value in the header: the weight decides",
      { ...byHeader, "canary-weight": "100" },
      { "x-canary": "maybe" },
      "canary",
    ],
    ["the value", byValue, { "x-canary": "next" }, "canary"],
    ["another value", byValue, { "x-canary": "nextt" }, "stable"],
    ["always has no effect if a value is set", byValue, { "x-canary": "always" }, "stable"],
    [
      "never has no effect if a value is set",
      { ...byValue, "canary-weight": "100" },
      { "x-canary": "never" },
      "canary",
    ],
    ["the pattern", byPattern, { "x-canary": "v12" }, "canary"],
    ["not the pattern", byPattern, { "x-canary": "v12x" }, "stable"],
    ["the pattern has no effect with a value", { ...byPattern, ...byValue }, { "x-canary": "v12" }, "stable"],
    ["always in the cookie", byCookie, { cookie: "beta=always" }, "canary"],
    [
      "never in the cookie, with a weight of 100",
      { ...byCookie, "canary-weight": "100" },
      { cookie: "beta=never" },
      "stable",
    ],
    ["another value in the cookie", byCookie, { cookie: "beta=1" }, "stable"],
    [
      "the header before the cookie",
      { ...byHeader, ...byCookie },
      { "x-canary": "never", cookie: "beta=always" },
      "stable",
    ],
    ["the cookie before the weight", { ...byCookie, "canary-weight": "0" }, { cookie: "beta=always" }, "canary"],
    ["the header's name in any case", { "canary-by-header": "x-CANARY" }, { "X-Canary": "always" }, "canary"],
  ])("%s", (_what, values, headers: Record<string, string>, version) => {
    expect(imported(pair(values)).served({ headers })).toBe(`shop/${version}`);
  });

  test.each([
    ["no weight", {}, 0],
    ["a weight", { "canary-weight": "30" }, 0.3],
    ["a weight of a total", { "canary-weight": "30", "canary-weight-total": "300" }, 0.1],
    ["a total below 100 counts as 100", { "canary-weight": "30", "canary-weight-total": "50" }, 0.3],
    ["a weight above the total", { "canary-weight": "130" }, 1],
  ])("%s", (_what, values, share) => {
    // Five standard deviations of 2,000 draws.
    expect(Math.abs(imported(pair(values)).share("canary") - share)).toBeLessThanOrEqual(0.052);
  });
});

describe("affinity", () => {
  test("without it, a note says that users now keep their version", () => {
    const { config, notes } = imported(pair({ "canary-weight": "10" }));
    expect(config).not.toContain("whenWeightsChange");
    expect(notes.join()).toContain("keeps each user on one version");
  });

  test("sticky, the default, keeps users at any weight", () => {
    const { config } = imported(
      pair(
        { "canary-weight": "10" },
        { affinity: "cookie", "session-cookie-max-age": "3600", "session-cookie-samesite": "Strict" },
      ),
    );
    expect(config).toMatch(
      /whenWeightsChange: hold\s+onWeightZero: drain\s+cookie:\s+maxAge: 3600s\s+sameSite: strict/,
    );
  });

  test("legacy lets users follow the weight", () => {
    const { config } = imported(pair({ "affinity-canary-behavior": "legacy" }, { affinity: "cookie" }));
    expect(config).not.toContain("hold");
  });

  test("legacy has no effect on the main Ingress, since ingress-nginx reads it from the canary", () => {
    const { config, notes } = imported(pair({}, { affinity: "cookie", "affinity-canary-behavior": "legacy" }));
    expect(config).toMatch(/whenWeightsChange: hold\s+onWeightZero: drain/);
    expect(notes.join("\n")).toContain("affinity-canary-behavior: has no effect on the main Ingress");
  });

  test.each([
    ["its domain", { "session-cookie-domain": "example.com" }, /cookie:\s+domain: example\.com/],
    ["its age by Expires alone", { "session-cookie-expires": "172800" }, /cookie:\s+maxAge: 172800s/],
    ["its age by both", { "session-cookie-expires": "9", "session-cookie-max-age": "60" }, /cookie:\s+maxAge: 60s/],
    ["its end with the browser's session", {}, /cookie:\s+maxAge: session/],
    ["Partitioned", { "session-cookie-partitioned": "true" }, /cookie:\s+partitioned: true/],
    ["its name", { "session-cookie-name": "route" }, /cookie:\s+name: route/],
  ])("the cookie keeps %s", (_what, values: Record<string, string>, wanted) => {
    expect(imported(pair({}, { affinity: "cookie", ...values })).config).toMatch(wanted);
  });

  test.each([
    ["session-cookie-hash", "sha1"],
    ["session-cookie-change-on-failure", "true"],
  ])("%s is noted", (name, value) => {
    const { notes } = imported(pair({}, { affinity: "cookie", [name]: value }));
    expect(notes.join("\n")).toContain(`Ingress shop/web: ${name}: no equivalent`);
  });

  test("two pairs with one cookie name get two cookies, as each release needs its own", () => {
    const other = [
      ingress("two", { affinity: "cookie", "session-cookie-name": "route" }, [{ path: "/two", service: "two" }]),
      ingress("two-canary", { canary: "true" }, [{ path: "/two", service: "two-next" }]),
    ].join("---");
    const { config, notes } = imported(
      `${pair({}, { affinity: "cookie", "session-cookie-name": "route" })}---${other}`,
    );
    expect(config.match(/name: route$/gm)).toHaveLength(1);
    expect(notes.join("\n")).toContain("another release has the cookie route already");
  });

  test("without a canary users stay on an endpoint by their pin", () => {
    const { config, notes } = imported(ingress("web", { affinity: "cookie" }, [{ path: "/", service: "shop" }]));
    expect(notes.join("\n")).toContain(
      "affinity kept a user on one Pod, as `balance: hash` does, but only among endpoints that are Pods",
    );
    expect(config).toMatch(/balance: hash[\s\S]*sticky:\s+cookie:\s+maxAge: session/);
  });

  test("a headless Service in the input becomes endpoints by DNS, which are its Pods", () => {
    const service = `
apiVersion: v1
kind: Service
metadata: { name: shop, namespace: shop }
spec: { clusterIP: None, ports: [{ port: 80, targetPort: 8080 }] }
`;
    const sticky = ingress("web", { affinity: "cookie" }, [{ path: "/", service: "shop" }]);
    expect(imported(`${sticky}---${service}`).config).toMatch(/endpoints:\s+- dns: shop\.shop\s+port: 8080\s/);
  });

  test("a note says that a weight of 0 moves no pinned user back", () => {
    const { notes } = imported(pair({ "canary-weight": "10" }, { affinity: "cookie" }));
    expect(notes.join("\n")).toContain("a weight of 0 moves no user back whose pin names the canary");
  });
});

describe("which Ingress matches a request", () => {
  const many = [
    ingress("web", {}, [
      { path: "/", service: "root" },
      { path: "/api", service: "api" },
      { path: "/api/v2", service: "api-two" },
      { path: "/api/v2", type: "Exact", service: "api-exact" },
    ]),
    ingress("wild", {}, [{ path: "/", service: "wild" }], "*.example.com"),
  ].join("---");
  test.each([
    ["/", "shop.example.com", "root"],
    ["/apix", "shop.example.com", "root"],
    ["/api", "shop.example.com", "api"],
    ["/api/v1", "shop.example.com", "api"],
    ["/api/v2", "shop.example.com", "api-exact"],
    ["/api/v2/x", "shop.example.com", "api-two"],
    ["/api", "other.example.com", "wild"],
  ])("%s of %s: %s", (url, host, service) => {
    expect(imported(many).served({ url, headers: { host } })).toBe(`${service}/stable`);
  });

  test("patterns are case-insensitive, longer ones first", () => {
    const regex = ingress("web", { "use-regex": "true" }, [
      { path: "/items/[0-9]+", type: "ImplementationSpecific", service: "items" },
      { path: "/", type: "ImplementationSpecific", service: "root" },
    ]);
    expect(imported(regex).served({ url: "/ITEMS/12" })).toBe("items/stable");
    expect(imported(regex).served({ url: "/items/x" })).toBe("root/stable");
  });

  test("a canary applies to its own path only", () => {
    const both = [
      ingress("web", {}, [
        { path: "/", service: "shop" },
        { path: "/admin", service: "admin" },
      ]),
      ingress("web-canary", { canary: "true", "canary-weight": "100" }, [{ path: "/", service: "shop-next" }]),
    ].join("---");
    expect(imported(both).served({ url: "/" })).toBe("shop/canary");
    expect(imported(both).served({ url: "/admin" })).toBe("admin/stable");
  });
});

describe("other settings of an Ingress", () => {
  test.each([
    [
      "timeouts",
      { "proxy-connect-timeout": "3", "proxy-read-timeout": "120" },
      /connect: 3s\s+responseHeaders: 120s\s+idle: 120s/,
    ],
    ["a body limit", { "proxy-body-size": "8m" }, /maxBodySize: 8MiB/],
    ["a rate limit", { "limit-rps": "10" }, /rateLimit:\s+by: clientAddress\s+requests: 10\s+per: 1s\s+burst: 50/],
    ["a host for the upstream", { "upstream-vhost": "in.example.com" }, /rewrite:\s+host: in\.example\.com/],
    ["gRPC", { "backend-protocol": "GRPC" }, /protocol: http2/],
    ["https", { "backend-protocol": "HTTPS" }, /https:\/\/shop\.shop:80[\s\S]*tls:\s+insecureSkipVerify: true/],
  ])("%s", (_what, values, wanted) => {
    expect(imported(ingress("web", values, [{ path: "/", service: "shop" }])).config).toMatch(wanted);
  });

  test("the common idiom to strip a prefix", () => {
    const path = { path: "/shop(/|$)(.*)", type: "ImplementationSpecific", service: "shop" };
    const { config, served } = imported(ingress("web", { "rewrite-target": "/$2" }, [path]));
    expect(config).toMatch(/prefix: \/shop }[\s\S]*rewrite:\s+prefix: \//);
    expect(served({ url: "/shop/x" })).toBe("shop/stable");
    expect(served({ url: "/shopx" })).toBeUndefined();
  });
});

describe("what cannot be imported is noted", () => {
  test.each([
    [
      "a canary without a main Ingress",
      `${main}---${ingress("lost", { canary: "true" }, [{ path: "/x", service: "x" }])}`,
      "Ingress shop/lost: no other Ingress has shop.example.com/x",
    ],
    [
      "a canary of another path type",
      `${main}---${ingress("lost", { canary: "true", "canary-weight": "20" }, [{ path: "/", type: "Exact", service: "x" }])}`,
      "Ingress shop/lost: no other Ingress has shop.example.com/ with pathType Exact, so this canary had no effect",
    ],
    [
      "a weight that is not a number",
      pair({ "canary-weight": "ten" }),
      "Ingress shop/web-canary: canary-weight: not imported: its value is not understood",
    ],
    [
      "an annotation of another controller",
      main.replace("annotations: {}", "annotations: { konghq.com/plugins: auth, cert-manager.io/issuer: x }"),
      "Ingress shop/web: annotations of other controllers: konghq.com/plugins: not imported",
    ],
    [
      "another controller's kind with the name of a known one",
      `${main}---\nkind: Service\napiVersion: serving.knative.dev/v1\nmetadata: { name: k }`,
      "Service default/k: left out: Knative's traffic by revision is not read",
    ],
    [
      "a second canary",
      `${pair({})}---${ingress("more", { canary: "true" }, [{ path: "/", service: "x" }])}`,
      "Ingress shop/more: shop.example.com/ already has a canary",
    ],
    [
      "an annotation without an equivalent",
      ingress("web", { "configuration-snippet": "deny all;" }, [{ path: "/", service: "x" }]),
      "Ingress shop/web: configuration-snippet: no equivalent",
    ],
    [
      "a pattern with a look-behind",
      pair({ "canary-by-header": "x", "canary-by-header-pattern": "(?<=a)b" }),
      "is not valid RE2 syntax",
    ],
    ["a named port", main.replace("number: 80", "name: http"), 'the port "http" of Service shop/shop is unknown'],
    [
      "another kind",
      `${main}---\nkind: Job\nmetadata: { name: once }`,
      "the input: 1 Job: not read, as these have no routes",
    ],
  ])("%s", (_what, yaml, note) => {
    expect(imported(yaml).notes.join("\n")).toContain(note);
  });

  test("a named port is resolved if its Service is in the input", () => {
    const service =
      "\n---\napiVersion: v1\nkind: Service\nmetadata: { name: shop, namespace: shop }\nspec: { ports: [{ name: http, port: 8080 }] }\n";
    const { config, notes } = imported(main.replace("number: 80", "name: http") + service);
    expect(config).toContain("http://shop.shop:8080");
    expect(notes.join()).not.toContain("port");
  });
});

describe("forms of input", () => {
  test("a list, as kubectl prints it", () => {
    const items = main
      .trim()
      .split("\n")
      .map((line) => `    ${line}`)
      .join("\n");
    const { served } = imported(`apiVersion: v1\nkind: List\nitems:\n  -\n${items}`);
    expect(served({})).toBe("shop/stable");
  });

  test.each([
    ["nothing", "", "nothing to import"],
    ["no Ingress", "kind: Service\nmetadata: { name: x }", "nothing to import"],
    ["broken YAML", "kind: [", "cluster.yaml:"],
    ["an alias bomb", bomb(), "cluster.yaml:"],
    [
      "rules that are a string",
      "kind: Ingress\napiVersion: networking.k8s.io/v1\nspec: { rules: nonsense }",
      "nothing to import",
    ],
  ])("%s is rejected with a message", (_what, text, problem) => {
    const result = importManifests([{ file: "cluster.yaml", text }]);
    expect(result.ok ? "" : result.problem).toContain(problem);
  });
});

function bomb(): string {
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let level = 1; level < 9; level++) {
    lines.push(
      `a${level}: &a${level} [${Array(10)
        .fill(`*a${level - 1}`)
        .join(", ")}]`,
    );
  }
  return lines.join("\n");
}
