import { describe, expect, test } from "vitest";
import { importManifests } from "../../../src/config/import/import-manifests.ts";
import { imported } from "./asked.ts";

const annotations = (values: Readonly<Record<string, string>>) =>
  JSON.stringify(
    Object.fromEntries(Object.entries(values).map(([name, value]) => [`nginx.ingress.kubernetes.io/${name}`, value])),
  );

interface Path {
  readonly path: string;
  readonly type?: string;
  readonly service: string;
}

function ingress(
  name: string,
  values: Readonly<Record<string, string>>,
  paths: readonly Path[],
  host = "shop.example.com",
): string {
  const rules = paths.map(
    ({ path, type = "Prefix", service }) =>
      `{ path: ${JSON.stringify(path)}, pathType: ${type}, backend: { service: { name: ${service}, port: { number: 80 } } } }`,
  );
  return `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: ${name}, namespace: shop, annotations: ${annotations(values)} }
spec: { ingressClassName: nginx, rules: [{ host: "${host}", http: { paths: [${rules.join(", ")}] } }] }
`;
}

const main = ingress("web", {}, [{ path: "/", service: "shop" }]);

/** A main and a canary Ingress with these annotations. */
function pair(values: Readonly<Record<string, string>>, mainValues: Readonly<Record<string, string>> = {}): string {
  return [
    ingress("web", mainValues, [{ path: "/", service: "shop" }]),
    ingress("web-canary", { canary: "true", ...values }, [{ path: "/", service: "shop-next" }]),
  ].join("---");
}

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
    expect(config).not.toContain("sticky");
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

  test("without a canary it is noted", () => {
    const { notes } = imported(ingress("web", { affinity: "cookie" }, [{ path: "/", service: "shop" }]));
    expect(notes.join("\n")).toContain("affinity: kept a user on one Pod: for that use");
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
    ["https", { "backend-protocol": "HTTPS" }, /https:\/\/shop\.shop:80/],
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

const web = (values: Readonly<Record<string, string>>, path = "/", type = "Prefix") =>
  imported(ingress("web", values, [{ path, type, service: "shop" }]));

describe("annotations with an equivalent", () => {
  const pattern = "ImplementationSpecific";
  test.each([
    ["rewrite-target without a group", { "rewrite-target": "/uuid" }, "/", pattern, /rewrite:\s+path: \/uuid/],
    [
      "rewrite-target with the rest of the path",
      { "rewrite-target": "/$1" },
      "/original/(.*)",
      pattern,
      /path: { regex: \(\?i\)\^\/original\/\(\.\*\) }[\s\S]*regex:\s+pattern: \(\?i\)\^\/original\/\(\.\*\)\s+replacement: \/\$1/,
    ],
    [
      "rewrite-target with two groups",
      { "rewrite-target": "/$1/x/$2" },
      "/(foo|bar)/(.*)",
      pattern,
      /pattern: \(\?i\)\^\/\(foo\|bar\)\/\(\.\*\)\s+replacement: \/\$1\/x\/\$2/,
    ],
    [
      "rewrite-target of a pattern that does not reach the end, where nginx replaces the whole path",
      { "rewrite-target": "/x/$1" },
      "/(a|b)",
      pattern,
      /pattern: \(\?i\)\^\/\(a\|b\)\.\*\s+replacement: \/x\/\$1/,
    ],
    [
      "server-alias",
      { "server-alias": "b.example,c.example" },
      "/",
      "Prefix",
      /hosts: \[ shop\.example\.com, b\.example, c\.example \]/,
    ],
    [
      "proxy-next-upstream",
      { "proxy-next-upstream": "error http_502 http_503", "proxy-next-upstream-tries": "2" },
      "/",
      "Prefix",
      /retries:\s+attempts: 1\s+on:\s+- connect-failure\s+- reset-before-response\s+- 502\s+- 503/,
    ],
    [
      "proxy-next-upstream-tries",
      { "proxy-next-upstream": "error", "proxy-next-upstream-tries": "5" },
      "/",
      "Prefix",
      /retries:\s+attempts: 4/,
    ],
    ["proxy-next-upstream: off", { "proxy-next-upstream": "off" }, "/", "Prefix", /retries:\s+attempts: 0/],
    ["upstream-hash-by the address", { "upstream-hash-by": "$remote_addr" }, "/", "Prefix", /balance: hash/],
    [
      "proxy-cookie-domain",
      { "proxy-cookie-domain": "localhost example.org" },
      "/",
      "Prefix",
      /cookieDomain: example\.org/,
    ],
    [
      "x-forwarded-prefix",
      { "x-forwarded-prefix": "/x" },
      "/",
      "Prefix",
      /requestHeaders:\s+set:\s+x-forwarded-prefix: \/x/,
    ],
    [
      "mirror-target",
      { "mirror-target": "https://copy.example$request_uri" },
      "/",
      "Prefix",
      /mirror:\s+endpoints:\s+- https:\/\/copy\.example:443[\s\S]*split:\s+stable: 1\s+mirror: 0\s+mirror:\s+version: mirror\s+percent: 100/,
    ],
    [
      "app-root",
      { "app-root": "/app" },
      "/",
      "Prefix",
      /path: { exact: \/ } }\s+redirect:\s+path: \/app\s+status: 302/,
    ],
    [
      "from-to-www-redirect",
      { "from-to-www-redirect": "true" },
      "/",
      "Prefix",
      /hosts: \[ www\.shop\.example\.com \] }\s+redirect:\s+host: shop\.example\.com\s+status: 308/,
    ],
  ])("%s", (_what, values: Record<string, string>, path, type, wanted) => {
    const { config, notes } = web(values, path, type);
    expect(config).toMatch(wanted);
    expect(notes.filter((note) => note.includes("no equivalent"))).toEqual([]);
  });

  test("custom-headers, with the ConfigMap that it names", () => {
    const headers =
      "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: extra, namespace: shop }\ndata: { X-Team: blue }\n";
    const named = ingress("web", { "custom-headers": "shop/extra" }, [{ path: "/", service: "shop" }]);
    expect(imported(named + headers).config).toMatch(/responseHeaders:\s+set:\s+x-team: blue/);
    expect(imported(named).notes.join("\n")).toContain(
      "custom-headers: set the data of the ConfigMap as `responseHeaders.set`",
    );
  });

  test("rewrite-target to the path itself changes nothing", () => {
    const { config, notes } = web({ "rewrite-target": "/" });
    expect(config).not.toContain("rewrite");
    expect(notes.join("\n")).not.toContain("rewrite-target");
  });

  test.each([
    ["a variable of nginx", { "rewrite-target": "/x$request_uri" }, "variables of nginx have no equivalent"],
    ["a group that the path does not have", { "rewrite-target": "/$3" }, "has no group 3"],
    [
      "a value that is not understood",
      { "proxy-read-timeout": "soon" },
      "proxy-read-timeout: not imported: its value is not understood",
    ],
    ["both rate limits", { "limit-rps": "1", "limit-rpm": "9" }, "limit-rpm: not imported: a route has one rate limit"],
    [
      "a hash by another value",
      { "upstream-hash-by": "$request_uri" },
      "upstream-hash-by: not imported: `balance: hash`",
    ],
  ])("a note names %s", (_what, values: Record<string, string>, note) => {
    expect(web(values).notes.join("\n")).toContain(note);
  });

  test("every annotation of a canary but those of the canary is named", () => {
    const { notes } = imported(pair({ "rewrite-target": "/x", "proxy-read-timeout": "9", "canary-weight": "1" }));
    for (const name of ["rewrite-target", "proxy-read-timeout"]) {
      expect(notes).toContain(
        `Ingress shop/web-canary: ${name}: has no effect on a canary Ingress, in ingress-nginx either`,
      );
    }
    expect(notes.join("\n")).not.toContain("canary-weight:");
  });
});

describe("Ingresses that redirect", () => {
  test.each([
    [
      "the path is kept by $request_uri",
      { "permanent-redirect": "https://new.example$request_uri" },
      /redirect:\s+scheme: https\s+host: new\.example\s+status: 301/,
    ],
    [
      "a URL, with nothing else in the configuration",
      { "permanent-redirect": "https://new.example/" },
      /redirect:\s+scheme: https\s+host: new\.example\s+path: \/\s+status: 301/,
    ],
    ["a path", { "permanent-redirect": "/new" }, /redirect:\s+path: \/new\s+status: 301/],
    [
      "the host is kept",
      { "temporal-redirect": "https://$host$request_uri" },
      /redirect:\s+scheme: https\s+status: 302/,
    ],
    [
      "a prefix is put before the path",
      { "temporal-redirect": "$scheme://new.example:8443/old$request_uri" },
      /redirect:\s+host: new\.example\s+port: 8443\s+prefix: \/old\s+status: 302/,
    ],
    [
      "another status",
      { "permanent-redirect": "https://new.example/x", "permanent-redirect-code": "308" },
      /path: \/x\s+status: 308/,
    ],
  ])("%s", (_what, values: Record<string, string>, wanted) => {
    const { config } = web(values);
    expect(config).toMatch(wanted);
    expect(config).not.toContain("services:");
  });

  test("a note says that a query is lost", () => {
    const { config, notes } = web({ "permanent-redirect": "https://new.example/search?q=1" });
    expect(config).toMatch(/path: \/search\s+status/);
    expect(notes.join("\n")).toContain("?q=1 is lost, and the client's query stays");
  });

  test("one that cannot be read is left out, instead of forwarded", () => {
    const away = ingress("away", { "permanent-redirect": "https://$arg_to/" }, [{ path: "/old", service: "x" }]);
    const { config, notes } = imported(`${main}---${away}`);
    expect(config).not.toContain("path: { prefix: /old }");
    expect(notes.join("\n")).toContain("the redirect to https://$arg_to/: https://$arg_to/ is not a path");
  });
});

describe("TLS", () => {
  const secure = (values: Readonly<Record<string, string>>, tls = "[{ hosts: [shop.example.com], secretName: s }]") =>
    ingress("web", values, [{ path: "/", service: "shop" }]).replace("spec: {", `spec: { tls: ${tls},`);
  const toHttps =
    /match: { hosts: \[ shop\.example\.com \], scheme: http }\s+redirect:\s+scheme: https\s+status: 308[\s\S]*service: shop/;

  test.each([
    ["its host", {}, undefined],
    ["a wildcard", {}, '[{ hosts: ["*.example.com"], secretName: s }]'],
    ["a certificate without hosts", {}, "[{ secretName: s }]"],
    ["force-ssl-redirect and no certificate", { "force-ssl-redirect": "true" }, "[]"],
  ])("with %s, plain requests are redirected before anything else", (_what, values, tls) => {
    const { config } = imported(secure(values, tls));
    expect(config).toMatch(toHttps);
  });

  test("with ssl-redirect: false they are served, and a note says so", () => {
    const { config, notes } = imported(secure({ "ssl-redirect": "false" }));
    expect(config).not.toContain("scheme");
    expect(notes.join("\n")).toContain("ssl-redirect is false: plain HTTP is served, as before");
  });

  test("the certificate of one Ingress counts for the others of its host, each path by its own annotation", () => {
    const plain = ingress("plain", { "ssl-redirect": "false" }, [{ path: "/hook", service: "hook" }]);
    const { config, served } = imported(`${secure({})}---${plain}`);
    expect(served({ url: "/hook" })).toBe("hook/stable");
    expect(served({ url: "/" })).toBeUndefined();
    expect(config.indexOf("service: hook")).toBeLessThan(config.indexOf("scheme: http "));
  });

  test("lost protection stands first among the notes", () => {
    const { notes, config } = web({ "proxy-buffering": "on", "auth-url": "https://login.example" });
    expect(notes[0]).toBe("Ingress shop/web: auth-url: no equivalent");
    expect(config).toContain(
      "# Protection of the original that this configuration does not have:\n# - Ingress shop/web: auth-url",
    );
  });
});

describe("what surprises in ingress-nginx", () => {
  test.each([
    ["use-regex", { "use-regex": "true" }],
    ["rewrite-target", { "rewrite-target": "/uuid" }],
  ])("%s of one Ingress makes all paths of its host patterns", (_what, values: Record<string, string>) => {
    const both = [
      ingress("one", values, [{ path: "/u[A-Z]", type: "ImplementationSpecific", service: "one" }]),
      ingress("two", {}, [{ path: "/Header", type: "Exact", service: "two" }]),
      ingress("other", {}, [{ path: "/Header", type: "Exact", service: "three" }], "other.example.com"),
    ].join("---");
    const { served, notes } = imported(both);
    expect(served({ url: "/headers" })).toBe("two/stable");
    expect(served({ url: "/headers", headers: { host: "other.example.com" } })).toBeUndefined();
    expect(notes.join("\n")).toContain("Ingress shop/two: shop.example.com/Header is a pattern that ignores case");
  });

  test.each(["Exact", "Prefix"])("a path of type %s that ends with a slash redirects to itself", (type) => {
    const { config, served } = web({}, "/my-path/", type);
    expect(config).toMatch(/path: { exact: \/my-path } }\s+redirect:\s+path: \/my-path\/\s+status: 301/);
    expect(served({ url: "/my-path/" })).toBe("shop/stable");
  });

  test("… unless there is a location without the slash", () => {
    const paths = ["/my-path/", "/my-path"].map((path) => ({ path, type: "Exact", service: "shop" }));
    expect(imported(ingress("web", {}, paths)).config).not.toContain("redirect");
  });

  test("a pattern that RE2 does not know is left out, instead of matching more", () => {
    const paths = [
      { path: "/a(?!b)", type: "ImplementationSpecific", service: "a" },
      { path: "/c", type: "ImplementationSpecific", service: "c" },
    ];
    const { served, notes } = imported(ingress("web", { "use-regex": "true" }, paths));
    expect(served({ url: "/a" })).toBeUndefined();
    expect(notes.join("\n")).toContain("the path /a(?!b) of shop.example.com is not valid RE2 syntax");
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
      "an Ingress of an older API",
      `${main}---\nkind: Ingress\napiVersion: extensions/v1beta1\nmetadata: { name: old }`,
      "Ingress default/old: not imported: its API group is extensions, and only that of networking.k8s.io is read",
    ],
    [
      "another controller's kind with the name of a known one",
      `${main}---\nkind: Service\napiVersion: serving.knative.dev/v1\nmetadata: { name: k }`,
      "Service default/k: not imported: Perch has no equivalent",
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
    ["another kind", `${main}---\nkind: Job\nmetadata: { name: once }`, "Job default/once: not imported"],
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
