import { describe, expect, test } from "vitest";
import { changed, load, problemsOf } from "../valid-config.ts";

/** The case, the text to replace, its replacement, and all problems that are reported. */
const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
  [
    "a query parameter for testers without a cookie",
    "cookie: version, allowFrom",
    "query: version, allowFrom",
    ["24:36: error: query needs cookie: a link for testers sets the override's cookie; add cookie: perch-version"],
  ],
  [
    "a pin's name with a semicolon",
    "name: pin,",
    'name: "pin;",',
    ['23:23: error: "pin;" is not a cookie name: use letters, digits and !#$%&\'*+-.^_`|~, at most 128 characters'],
  ],
  [
    "a pin's name with CR LF",
    "name: pin,",
    'name: "pin\\r\\nx: y",',
    ['23:23: error: "pin\\r\\nx: y" contains a control character'],
  ],
  [
    "an attribute's cookie name with an equals sign",
    "{ cookie: uid }",
    "{ cookie: u=id }",
    ['6:67: error: "u=id" is not a cookie name: use letters, digits and !#$%&\'*+-.^_`|~, at most 128 characters'],
  ],
  [
    "a pin's path with a semicolon",
    "path: /,",
    'path: "/; Domain=example.com",',
    [
      '23:34: error: "/; Domain=example.com" is not a cookie\'s path: it must start with / and consist of ASCII without ;',
    ],
  ],
  [
    "a pin's path with CR LF",
    "path: /,",
    'path: "/\\r\\nset-cookie: a=b",',
    ['23:34: error: "/\\r\\nset-cookie: a=b" contains a control character'],
  ],
  ["a pin's path with NUL", "path: /,", 'path: "/\\0",', ['23:34: error: "/\\u0000" contains a control character']],
  ["a pin's path with DEL", "path: /,", 'path: "/\\x7f",', ['23:34: error: "/\\u007f" contains a control character']],
  [
    "a pin's path that does not start with a slash",
    "path: /,",
    "path: shop,",
    ['23:34: error: "shop" is not a cookie\'s path: it must start with / and consist of ASCII without ;'],
  ],
  [
    "a pin's path with a non-ASCII character",
    "path: /,",
    "path: /é,",
    ['23:34: error: "/é" is not a cookie\'s path: it must start with / and consist of ASCII without ;'],
  ],
  [
    "a pin's domain with a semicolon",
    "path: /,",
    'path: /, domain: "a;b",',
    ['23:45: error: "a;b" is not a domain: use letters, digits and dashes between dots'],
  ],
  [
    "a pin's domain with LF",
    "path: /,",
    'path: /, domain: "a\\nb",',
    ['23:45: error: "a\\nb" contains a control character'],
  ],
  [
    "SameSite=None without Secure",
    "path: /,",
    "path: /, secure: false, sameSite: none,",
    ["23:62: error: browsers drop a cookie with SameSite=None that is not Secure; use secure: always or sameSite: lax"],
  ],
  [
    "SameSite=None where Perch may not see https",
    "path: /,",
    "path: /, sameSite: none,",
    [
      "23:47: warning: with secure: auto the cookie is sent as SameSite=Lax where Perch does not see https: behind a load balancer that ends TLS that is every request, unless trustedProxies has its address and it sends X-Forwarded-Proto; set secure: always",
    ],
  ],
  ["SameSite=None that is always Secure", "path: /,", "path: /, secure: always, sameSite: none,", []],
  [
    "Partitioned without Secure",
    "path: /,",
    "path: /, secure: never, sameSite: none, partitioned: true,",
    [
      "23:62: error: browsers drop a cookie with SameSite=None that is not Secure; use secure: always or sameSite: lax",
      "23:81: error: browsers drop a cookie with Partitioned that is not Secure; use secure: always",
    ],
  ],
  [
    "Partitioned that no frame of another site sends",
    "path: /,",
    "path: /, partitioned: true,",
    [
      "23:50: warning: partitioned is for pages in frames of other sites, where browsers send no cookie with sameSite: lax; set sameSite: none",
    ],
  ],
  ["Partitioned", "path: /,", "path: /, secure: always, sameSite: none, partitioned: true,", []],
  [
    "a __Http- pin that is not always Secure",
    "name: pin,",
    "name: __Http-pin,",
    ["23:23: error: browsers accept a cookie named __Http-… only with secure: always"],
  ],
  [
    "a __Host-Http- pin with a path",
    "name: pin, path: /,",
    "name: __Host-Http-pin, secure: always, path: /api,",
    ["23:23: error: browsers accept a cookie named __Host-… only with path: / and no domain"],
  ],
  [
    "a cookie for testers' links whose name promises Secure",
    "cookie: version, allowFrom",
    "cookie: __Host-version, query: version, allowFrom",
    ["24:44: error: browsers accept a cookie named __Host-… only with secure: always"],
  ],
  ["a cookie for the browser's session", "path: /,", "path: /, maxAge: session,", []],
  [
    "a lifetime that browsers cut",
    "path: /,",
    "path: /, maxAge: 401d,",
    ["23:45: warning: browsers keep a cookie for at most 400 days; use 400d"],
  ],
  [
    "a __Host- pin that is not always Secure",
    "name: pin,",
    "name: __Host-pin,",
    ["23:23: error: browsers accept a cookie named __Host-… only with secure: always"],
  ],
  [
    "a __Host- pin with a domain",
    "name: pin,",
    "name: __Host-pin, secure: true, domain: example.com,",
    ["23:23: error: browsers accept a cookie named __Host-… only with path: / and no domain"],
  ],
  [
    "a __Secure- pin that is not always Secure",
    "name: pin,",
    "name: __Secure-pin,",
    ["23:23: error: browsers accept a cookie named __Secure-… only with secure: always"],
  ],
  [
    "an unknown SameSite",
    "path: /,",
    "path: /, sameSite: laxx,",
    ['23:47: error: expected lax, strict or none, found "laxx"; did you mean "lax"?'],
  ],
  [
    "a lifetime below a second",
    "path: /,",
    "path: /, maxAge: 10ms,",
    ["23:45: error: 10ms is not between 1s and 3650d"],
  ],
];

describe("cookies: none that browsers drop, and no bytes that split a header", () => {
  test.each(cases)("%s", (_sentence, find, replacement, wanted) => {
    expect(problemsOf(load(changed(find, replacement)))).toEqual(wanted);
  });
});

const pages: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "what follows pages, without assets that do",
    "fetches: follow-document, assetPaths: [/pkg]",
    [
      "22:21: error: fetches needs assets: follow-document; add assets: follow-document",
      "22:47: error: assetPaths needs assets: follow-document; add assets: follow-document",
    ],
  ],
  ["both with it", "assets: follow-document, fetches: follow-document, assetPaths: [/pkg, /a/b/]", []],
  [
    "asset paths that match nothing",
    'assets: follow-document, assetPaths: ["/a/../../b", "/static/*"]',
    [
      '22:59: error: "/a/../../b" is not a valid path: requests with it are rejected',
      '22:73: warning: "/static/*" is a prefix: its * matches a literal * only',
    ],
  ],
];

describe("pages", () => {
  test.each(pages)("%s", (_sentence, keys, wanted) => {
    const text = changed(
      "sticky:\n      by: userId\n      cookie: { name: pin, path: /, secretFile: pins.secret }",
      `sticky:\n      { by: userId, ${keys}, cookie: { name: pin, secretFile: pins.secret } }`,
    );
    expect(problemsOf(load(text))).toEqual(wanted);
  });
});
