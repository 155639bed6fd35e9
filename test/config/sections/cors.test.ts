import { describe, expect, test } from "vitest";
import { changed, compiled, load, problemsOf } from "../valid-config.ts";

const at = "  - name: shop\n    service: shop\n";
const withCors = (cors: string, more = "") => changed(at, `${at}    cors: ${cors}\n${more}`);

/** The case, the value of `cors`, further keys of the route, and all problems that are reported. */
const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
  ["no origins", "{}", "", ['40:11: error: cors needs the key "allowOrigins"']],
  [
    "an origin without a scheme",
    "{ allowOrigins: [app.example.com] }",
    "",
    [
      '40:28: error: "app.example.com" is not an origin such as https://app.example.com; begin with the scheme, as in https://app.example.com',
    ],
  ],
  [
    "an origin with a path",
    '{ allowOrigins: ["https://app.example.com/"] }',
    "",
    [
      '40:28: error: "https://app.example.com/" is not an origin such as https://app.example.com; remove the slash at the end',
    ],
  ],
  [
    "an origin with a wildcard that covers part of a label",
    '{ allowOrigins: ["https://app*.example.com"] }',
    "",
    [
      '40:28: error: "https://app*.example.com" is not an origin such as https://app.example.com; * stands for a whole host, or for the labels in front of .example.com',
    ],
  ],
  [
    "an origin with a line break",
    '{ allowOrigins: ["https://app.example.com\\r\\nX-Evil: 1"] }',
    "",
    ['40:28: error: "https://app.example.com\\r\\nX-Evil: 1" is not an origin such as https://app.example.com'],
  ],
  [
    "an origin with a port that is none",
    '{ allowOrigins: ["https://app.example.com:65536"] }',
    "",
    ['40:28: error: "https://app.example.com:65536" is not an origin such as https://app.example.com'],
  ],
  [
    "a header's name with a blank",
    '{ allowOrigins: ["*"], allowHeaders: ["x y"] }',
    "",
    ['40:49: error: "x y" is not a header name: use letters, digits and !#$%&\'*+-.^_`|~, at most 128 characters'],
  ],
  [
    "every origin with credentials",
    '{ allowOrigins: ["*"], allowCredentials: true }',
    "",
    [
      "40:28: warning: with allowCredentials every website can read what this route answers to its visitors' cookies; list the origins",
    ],
  ],
  [
    "the origin null with credentials",
    '{ allowOrigins: ["null"], allowCredentials: true }',
    "",
    [
      "40:28: warning: every website can make a frame whose origin is null, and so read what this route answers to cookies",
    ],
  ],
  [
    "every header exposed with credentials",
    '{ allowOrigins: ["https://a.example"], exposeHeaders: ["*"], allowCredentials: true }',
    "",
    ["40:66: error: browsers take * for a header's name where allowCredentials is true; list the headers"],
  ],
  [
    "a field that cors replaces",
    '{ allowOrigins: ["*"] }',
    "    responseHeaders: { set: { Access-Control-Allow-Origin: https://a.example } }\n",
    ['41:31: error: cors sets the header "access-control-allow-origin"'],
  ],
  [
    "a route that preflights do not reach",
    '{ allowOrigins: ["*"] }',
    "    match: { methods: [PUT, DELETE] }\n",
    [
      "40:11: warning: preflights do not reach this cors: the route matches PUT, DELETE only, and they are OPTIONS; add OPTIONS to match.methods",
    ],
  ],
  ["a route for OPTIONS too", '{ allowOrigins: ["*"] }', "    match: { methods: [PUT, OPTIONS] }\n", []],
];

describe("cors", () => {
  test.each(cases)("%s", (_sentence, cors, more, wanted) => {
    expect(problemsOf(load(withCors(cors, more)))).toEqual(wanted);
  });

  test("is compiled", () => {
    const written =
      '{ allowOrigins: ["*", "HTTPS://App.example:443", "https://*.b.example:8443"], allowMethods: [put] }';
    expect(compiled(withCors(written)).routes.at(-1)?.cors).toEqual({
      anyOrigin: true,
      origins: [
        { kind: "exact", origin: "https://app.example" },
        { kind: "below", start: "https://", end: ".b.example:8443" },
      ],
      methods: ["PUT"],
      headers: [],
      exposedHeaders: [],
      credentials: false,
      maxAgeSeconds: 5,
    });
  });
});
