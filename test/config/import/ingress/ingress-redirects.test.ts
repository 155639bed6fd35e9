import { describe, expect, test } from "vitest";
import { imported } from "../asked.ts";
import { answers, ingress, main, web } from "./ingresses.ts";

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
      "a host that contains the request's",
      { "temporal-redirect": "https://www.$host$request_uri" },
      /redirect:\s+scheme: https\s+host: www\.shop\.example\.com\s+status: 302/,
    ],
    [
      "the scheme is kept",
      { "permanent-redirect": "//new.example$request_uri" },
      /redirect:\s+host: new\.example\s+status: 301/,
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

  test("a note says that $uri dropped the query", () => {
    const { notes } = web({ "permanent-redirect": "https://new.example$uri" });
    expect(notes.join("\n")).toContain("dropped the client's query; Perch keeps it");
  });

  test("a note says that a query is lost", () => {
    const { config, notes } = web({ "permanent-redirect": "https://new.example/search?q=1" });
    expect(config).toMatch(/path: \/search\s+status/);
    expect(notes.join("\n")).toContain("?q=1 is lost, and the client's query stays");
  });

  test("one that cannot be read is left out, and its requests get 404 instead of another Ingress", () => {
    const away = ingress("away", { "permanent-redirect": "https://$arg_to/" }, [{ path: "/old", service: "x" }]);
    const { notes } = imported(`${main}---${away}`);
    expect(answers(`${main}---${away}`)({ url: "/old/x" })).toBe("404");
    expect(answers(`${main}---${away}`)({ url: "/older" })).toBe("shop/stable");
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

  test("there is a listener for http, and one for https with the certificates of the Secrets", () => {
    const { config, notes } = imported(secure({}));
    expect(config).toMatch(
      /name: http\s+address: "\*:8080"\s+(?:#.*\s+)?- name: https\s+address: "\*:8443"\s+tls:\s+certificates:\s+- certFile: \/etc\/perch\/tls\/shop-s\/tls\.crt/,
    );
    expect(notes.join("\n")).toContain("such as shop/s at /etc/perch/tls/shop-s");
  });

  test("what requests get, by scheme, and for a path of its own", () => {
    const answer = answers(secure({}));
    expect(answer({ url: "/x?y=1" })).toBe("308 https://shop.example.com/x?y=1");
    expect(answer({ url: "https://shop.example.com/x" })).toBe("shop/stable");
    expect(answers(secure({ "ssl-redirect": "false" }))({ url: "/x" })).toBe("shop/stable");
    expect(answers(secure({ "force-ssl-redirect": "true" }, "[]"))({ url: "/x" })).toBe(
      "308 https://shop.example.com/x",
    );
  });

  test("a host with a certificate has HSTS, as by default", () => {
    expect(imported(secure({})).config).toContain("strict-transport-security: max-age=31536000; includeSubDomains");
    expect(web({}).config).not.toContain("strict-transport-security");
    const off = `
apiVersion: v1
kind: ConfigMap
metadata: { name: ingress-nginx-controller, namespace: ingress-nginx }
data: { hsts: "false" }
`;
    expect(imported(`${secure({})}---${off}`).config).not.toContain("strict-transport-security");
  });

  test("client certificates are the listener's, if every Ingress asks for them; else they are lost, and named first", () => {
    const mutual = secure({ "auth-tls-secret": "shop/client-ca" });
    const { config, notes } = imported(mutual);
    expect(config).toMatch(/tls\.key\s+clientCa: \/etc\/perch\/tls\/shop-client-ca\/ca\.crt/);
    expect(notes.join("\n")).not.toContain("auth-tls");
    const mixed = imported(`${mutual}---${ingress("open", {}, [{ path: "/", service: "open" }], "open.example.com")}`);
    expect(mixed.config).not.toContain("clientCa:");
    expect(mixed.notes[0]).toBe(
      "Ingress shop/web: auth-tls-secret: set `tls.clientCa` on the listener, which then applies to all its hosts",
    );
    expect(
      imported(secure({ "auth-tls-secret": "shop/ca", "auth-tls-verify-client": "optional" })).config,
    ).not.toContain("clientCa:");
  });

  test("without a Secret there is a listener for https all the same, to which plain requests are redirected", () => {
    const { config, notes } = imported(secure({}, "[{ hosts: [shop.example.com] }]"));
    expect(config).toMatch(
      /name: https\s+address: "\*:8443"\s+tls:\s+certificates:\s+- certFile: \S+\/default-certificate\//,
    );
    expect(config).toMatch(toHttps);
    expect(notes.join("\n")).toContain(
      "Ingress shop/web: tls without a secretName used the controller's default certificate: mount it at /etc/perch/tls/default-certificate",
    );
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

  describe("… and a wider path does not get its requests", () => {
    const withPaths = (...paths: string[]) =>
      ingress(
        "web",
        { "use-regex": "true" },
        paths.map((path, index) => ({ path, type: "ImplementationSpecific", service: `s${index}` })),
      );

    test("if it is known how their paths begin: these get 404", () => {
      const yaml = withPaths("/admin(?!/public).*", "/", "/admin/users/by/name/and/more");
      const answer = answers(yaml);
      expect(answer({ url: "/Admin/x" })).toBe("404");
      expect(answer({ url: "/shop" })).toBe("s1/stable");
      expect(answer({ url: "/admin/users/by/name/and/more" })).toBe("s2/stable");
      expect(imported(yaml).notes.join("\n")).toContain(
        "left out; every path that begins with /admin gets 404 here, or shop.example.com/ would take its requests",
      );
    });

    test("a canary of such a path is left out with it", () => {
      const path = [{ path: "/a(?!b)", type: "ImplementationSpecific", service: "next" }];
      const yaml = [withPaths("/a(?!b)", "/"), ingress("next", { canary: "true" }, path)].join("---");
      expect(imported(yaml).notes).toContain(
        "Ingress shop/next: shop.example.com/a(?!b) with pathType Prefix of the main Ingress is left out, and so is its canary",
      );
    });

    test.each([
      ["/ab*(?!x)", "/ac", "/b"],
      ["/a\\.b(?!x)", "/a.b", "/axb"],
      ["/a(b|c)(?!x)", "/ab", "/b"],
    ])("%s: as in %s, but not %s", (pattern, refused, served) => {
      const answer = answers(withPaths(pattern, "/"));
      expect([answer({ url: refused }), answer({ url: served })]).toEqual(["404", "s1/stable"]);
    });

    test.each(["/(?!admin).*", "/a(?!b)|/c", "/a(x)|/b(?!y)", "(?<!x)/a"])(
      "%s: else a note names that path",
      (pattern) => {
        const yaml = withPaths(pattern, "/");
        expect(answers(yaml)({ url: "/a" })).toBe("s1/stable");
        expect(imported(yaml).notes.join("\n")).toContain(
          "left out; its requests may reach shop.example.com/ of Ingress shop/web",
        );
      },
    );
  });
});
