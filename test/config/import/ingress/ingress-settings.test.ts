import { describe, expect, test } from "vitest";
import { imported } from "../asked.ts";
import { answers, ingress, pair, web } from "./ingresses.ts";

/** With a route that is served: a configuration of errors alone is none. */
const other = ingress("other", {}, [{ path: "/", service: "other" }], "other.example.com");

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
      { "x-forwarded-prefix": "/x", "rewrite-target": "/" },
      "/x",
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

  test("a group that the path does not have is empty, as in nginx", () => {
    expect(web({ "rewrite-target": "/y/$3" }).config).toMatch(/rewrite:\s+path: \/y\/\s/);
  });

  test("a rewrite that has no equivalent gets 404, as the path could reach what it hides", () => {
    const yaml = ingress("web", { "rewrite-target": "/public$request_uri" }, [{ path: "/x", service: "shop" }]);
    expect(answers(`${yaml}---${other}`)({ url: "/x" })).toBe("404");
  });

  test("a rewritten route keeps responses, and sends no prefix, as ingress-nginx does", () => {
    const { config } = web({ "rewrite-target": "/$2" }, "/shop(/|$)(.*)", pattern);
    expect(config).toMatch(/rewrite:\s+prefix: \/\s+responses: keep/);
    expect(config).toMatch(/requestHeaders:\s+remove:\s+- x-forwarded-prefix/);
  });

  test("rewrite-target to the path itself changes nothing", () => {
    const { config, notes } = web({ "rewrite-target": "/" });
    expect(config).not.toContain("rewrite");
    expect(notes.join("\n")).not.toContain("rewrite-target");
  });

  test.each([
    ["x-forwarded-prefix without a rewrite", { "x-forwarded-prefix": "/x" }, "has no effect without rewrite-target"],
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
    const yaml = ingress("web", values, [{ path: "/", service: "shop" }]);
    expect(imported(`${yaml}---${other}`).notes.join("\n")).toContain(note);
  });

  test.each([
    [{ "enable-cors": "true", "cors-max-age": "-1" }, "cors-max-age: not imported: its value is not understood"],
    [{ "cors-max-age": "60" }, "cors-max-age: has no effect without enable-cors"],
    [
      { "limit-rps": "5", "limit-burst-multiplier": "x" },
      "limit-burst-multiplier: not imported: its value is not understood",
    ],
    [{ "limit-rpm": "x" }, "limit-rpm: not imported: its value is not understood"],
  ])("a note does not say that another annotation is missing which is there: %o", (values, note) => {
    const { notes } = imported(`${ingress("web", values, [{ path: "/", service: "shop" }])}---${other}`);
    expect(notes).toContain(`Ingress shop/web: ${note}`);
  });

  test("a limit that the paths of an Ingress shared is each route's own, which a note says", () => {
    const paths = ["/a", "/b", "/"].map((path) => ({ path, service: "shop" }));
    const { notes } = imported(ingress("web", { "limit-rps": "5" }, paths));
    expect(notes[0]).toBe(
      "Ingress shop/web: limit-rps was one limit per client for all 3 paths of this Ingress; here each route has its own, so a client may send up to 3 times as many requests",
    );
    expect(imported(ingress("web", { "limit-rps": "5" }, paths.slice(2))).notes).toEqual([]);
    const tooMany = imported(ingress("web", { "limit-rps": "9999999" }, paths)).notes;
    expect(tooMany.join("\n")).toContain("rateLimit is left out");
    expect(tooMany.join("\n")).not.toContain("one limit per client");
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

test("server-alias with a pattern beside hosts", () => {
  const { config, notes } = web({ "server-alias": "b.example, *.c.example ~^x.*$" });
  expect(config).toMatch(/b\.example, "\*\.c\.example"/);
  expect(notes.join("\n")).toContain("server-alias ~^x.*$: left out");
});

describe("defaults of ingress-nginx are written out", () => {
  test("timeouts, retries and the size of bodies", () => {
    const { config, notes } = web({});
    expect(config).toMatch(/timeouts:\s+connect: 5s\s+responseHeaders: 60s\s+idle: 60s/);
    expect(config).toMatch(/retries:\s+attempts: 2\s+on:\s+- connect-failure\s+- reset-before-response\s+routes/);
    expect(config).toMatch(/maxBodySize: 1MiB/);
    expect(notes).toEqual([]);
  });

  test("a timeout over the maximum is the maximum, and not the default", () => {
    expect(web({ "proxy-read-timeout": "999999999" }).config).toMatch(/responseHeaders: 2073600s\s+idle: 2073600s/);
  });

  test("no note of 1 MiB stands beside another size, and 0 is no limit", () => {
    const { config, notes } = web({ "proxy-body-size": "20m" });
    expect(config).toMatch(/maxBodySize: 20MiB/);
    expect(notes.join("\n")).not.toContain("1 MiB");
    expect(web({ "proxy-body-size": "0" }).config).toMatch(/maxBodySize: 0\s/);
  });

  const controller = (data: string) => `
apiVersion: v1
kind: ConfigMap
metadata: { name: ingress-nginx-controller, namespace: ingress-nginx }
data: ${data}
`;

  test("the controller's ConfigMap replaces them, and an annotation both", () => {
    const map = controller('{ proxy-read-timeout: "300", proxy-connect-timeout: "7", proxy-body-size: 64m }');
    const { config } = imported(
      `${ingress("web", { "proxy-connect-timeout": "3" }, [{ path: "/", service: "shop" }])}---${map}`,
    );
    expect(config).toMatch(/timeouts:\s+connect: 3s\s+responseHeaders: 300s\s+idle: 300s/);
    expect(config).toMatch(/maxBodySize: 64MiB/);
  });

  test("its other settings are named, lost protection first", () => {
    const map = controller(
      '{ http-snippet: "x", enable-modsecurity: "true", proxy-buffer-size: 8k, log-format-upstream: x }',
    );
    const { notes } = imported(`${ingress("web", {}, [{ path: "/", service: "shop" }])}---${map}`);
    expect(notes).toEqual([
      "ConfigMap ingress-nginx/ingress-nginx-controller: http-snippet: not imported",
      "ConfigMap ingress-nginx/ingress-nginx-controller: enable-modsecurity: not imported",
      "ConfigMap ingress-nginx/ingress-nginx-controller: proxy-buffer-size: not imported",
    ]);
  });

  describe("a ConfigMap without nginx in its name and namespace", () => {
    const unnamed = (data: string) =>
      `${ingress("web", {}, [{ path: "/", service: "shop" }])}---${controller(data)}`
        .replace("name: ingress-nginx-controller", "name: ingress-controller")
        .replace("namespace: ingress-nginx", "namespace: kube-system");

    test("with two settings of the controller it is read", () => {
      const yaml = unnamed('{ whitelist-source-range: 10.0.0.0/8, global-auth-url: "http://x", proxy-body-size: 8m }');
      const { config, notes } = imported(yaml);
      expect(config).toContain("maxBodySize: 8MiB");
      expect(answers(yaml)({ remoteAddress: "192.0.2.9" })).toBe("403");
      expect(notes[0]).toBe("ConfigMap kube-system/ingress-controller: global-auth-url: not imported");
      expect(notes).toContain(
        "ConfigMap kube-system/ingress-controller: taken for the ConfigMap of ingress-nginx, as it has whitelist-source-range, global-auth-url, proxy-body-size",
      );
    });

    test("with one protective setting it is named as possible lost protection", () => {
      const { config, notes } = imported(unnamed("{ whitelist-source-range: 10.0.0.0/8 }"));
      expect(config).toContain("# Protection of the original that this configuration does not have:");
      expect(notes[0]).toContain(
        "ConfigMap kube-system/ingress-controller: whitelist-source-range: not imported; if this is the ConfigMap of ingress-nginx",
      );
    });

    test("with none, or one that protects nothing, it is an application's", () => {
      expect(imported(unnamed("{ proxy-body-size: 8m, color: blue, log-level: debug }")).notes).toEqual([]);
    });
  });
});

describe("clients that an address list refuses", () => {
  const inside = { remoteAddress: "10.1.2.3" };
  const outside = { remoteAddress: "192.0.2.9" };
  test.each([
    ["an allowed one", { "whitelist-source-range": "10.0.0.0/8,192.168.0.1" }, inside, "shop/stable"],
    ["one that is not allowed", { "whitelist-source-range": "10.0.0.0/8,192.168.0.1" }, outside, "403"],
    ["the newer name", { "allowlist-source-range": "10.0.0.0/8" }, outside, "403"],
    ["a denied one", { "denylist-source-range": "192.0.2.0/24" }, outside, "403"],
    ["one that is not denied", { "denylist-source-range": "192.0.2.0/24" }, inside, "shop/stable"],
    [
      "denied within what is allowed",
      { "allowlist-source-range": "10.0.0.0/8", "denylist-source-range": "10.1.0.0/16" },
      inside,
      "403",
    ],
    ["a list that cannot be read refuses everyone", { "whitelist-source-range": "office" }, inside, "403"],
  ])("%s", (_what, values: Record<string, string>, request, wanted) => {
    const yaml = ingress("web", values, [{ path: "/", service: "shop" }]);
    expect(answers(yaml)(request)).toBe(wanted);
    expect(imported(yaml).notes.join("\n")).toContain("a `fault` with status 403, by the client's address");
  });

  test("below a wildcard deeper hosts are refused as well", () => {
    const values = { "whitelist-source-range": "10.0.0.0/8" };
    const answer = answers(ingress("web", values, [{ path: "/", service: "shop" }], "*.example.com"));
    expect(answer({ ...inside, host: "a.example.com" })).toBe("shop/stable");
    expect(answer({ ...outside, host: "a.example.com" })).toBe("403");
    expect(answer({ ...inside, host: "a.b.example.com" })).toBe("403");
  });
});

describe("TLS to backends", () => {
  test.each(["HTTPS", "GRPCS"])("by %s certificates are not verified by default", (protocol) => {
    const { config, notes } = web({ "backend-protocol": protocol });
    expect(config).toMatch(/- https:\/\/shop\.shop:80[\s\S]*tls:\s+insecureSkipVerify: true/);
    expect(notes.join("\n")).toContain("the backends' certificates are not verified, as by ingress-nginx");
  });

  test("proxy-ssl-verify verifies by the CA of its Secret, and for the name", () => {
    const { config, notes } = web({
      "backend-protocol": "HTTPS",
      "proxy-ssl-secret": "shop/backend-ca",
      "proxy-ssl-verify": "on",
      "proxy-ssl-name": "shop.internal",
    });
    const folder = "/etc/perch/tls/shop-backend-ca";
    expect(
      config
        .match(/tls:\n(?: {6}.*\n)+/)?.[0]
        .split("\n")
        .map((line) => line.trim()),
    ).toEqual([
      "tls:",
      `ca: ${folder}/ca.crt`,
      `cert: ${folder}/tls.crt`,
      `key: ${folder}/tls.key`,
      "serverName: shop.internal",
      "insecureSkipVerify: false",
      "",
    ]);
    expect(notes.join("\n")).toContain(`mount the Secret shop/backend-ca at ${folder}`);
  });

  test("without a Secret proxy-ssl-verify had no effect, and is named first", () => {
    const { config, notes } = web({ "backend-protocol": "HTTPS", "proxy-ssl-verify": "on" });
    expect(config).toContain("insecureSkipVerify: true");
    expect(notes[0]).toContain("proxy-ssl-verify: has no effect without");
  });
});
