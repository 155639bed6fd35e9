import { describe, expect, test } from "vitest";
import { changed, compiled, load, problemsOf } from "../valid-config.ts";

const traced = (tracing: string) => changed("trustedProxies:", `tracing: ${tracing}\ntrustedProxies:`);
const to = (otlp: string) => `{ otlp: ${otlp} }`;

const headers: Readonly<Record<string, string>> = {
  "good.headers": "# of the collector\n\nAuthorization: Bearer s3cret=\r\nX-Scope:  a b \n",
  "bad.headers": "Authorization: Bearer s3cret\nno header s3cret\n",
  "own.headers": "Content-Length: 7\n",
  "control.headers": "X-A: a\u0001b\n",
};

const readFile = (path: string) => {
  const contents = headers[path.split("/").at(-1) ?? ""] ?? "0123456789abcdef0123456789abcdef";
  return Buffer.from(contents);
};

/** The case, the tracing section, and all problems that are reported. */
const cases: readonly (readonly [string, string, readonly string[]])[] = [
  ["a share above one", "{ sample: 2 }", ["4:20: error: 2 is too large: the maximum is 1"]],
  [
    "an unknown trustIncoming",
    "{ trustIncoming: everyone }",
    ['4:27: error: expected anyone, proxies or nobody, found "everyone"'],
  ],
  ["no endpoint", to("{ headersFile: good.headers }"), ['4:18: error: otlp needs the key "endpoint"']],
  [
    "an endpoint without a scheme",
    to('{ endpoint: "collector:4318" }'),
    ['4:30: error: "collector:4318" is not a collector\'s URL; write it as in http://collector:4318/v1/traces'],
  ],
  [
    "an endpoint without a path",
    to('{ endpoint: "http://collector:4318" }'),
    ['4:30: error: "http://collector:4318" has no path; write "http://collector:4318/v1/traces"'],
  ],
  [
    "credentials in an endpoint, which are not repeated",
    to('{ endpoint: "http://u:s3cret@collector/v1/traces" }'),
    ["4:30: error: a collector's URL cannot contain credentials; put them into headersFile"],
  ],
  [
    "a line that is not a header, which is not repeated",
    to('{ endpoint: "http://c/v1/traces", headersFile: bad.headers }'),
    [
      "4:65: error: the file <folder>/bad.headers cannot be used: line 2 is not a header such as authorization: Bearer …",
    ],
  ],
  [
    "a header with a control character",
    to('{ endpoint: "http://c/v1/traces", headersFile: control.headers }'),
    [
      "4:65: error: the file <folder>/control.headers cannot be used: line 1 is not a header such as authorization: Bearer …",
    ],
  ],
  [
    "a header that Perch sets",
    to('{ endpoint: "http://c/v1/traces", headersFile: own.headers }'),
    ["4:65: error: the file <folder>/own.headers cannot be used: line 1 sets Content-Length, which Perch sets itself"],
  ],
];

describe("tracing", () => {
  test.each(cases)("with %s is rejected", (_what, tracing, problems) => {
    const result = load(traced(tracing), { readFile });
    expect([result.ok, problemsOf(result)]).toEqual([false, problems]);
  });

  test("has defaults, and exports nothing by default", () => {
    const spec = { trustIncoming: "anyone", sample: 0.01, serviceName: "perch", otlp: undefined };
    expect(compiled(traced("{}")).tracing).toEqual(spec);
  });

  test("reads the collector's headers", () => {
    const result = load(traced(to('{ endpoint: "http://c/v1/traces", headersFile: good.headers }')), { readFile });
    expect(result.ok && result.compiled.tracing?.otlp?.headers).toEqual([
      ["Authorization", "Bearer s3cret="],
      ["X-Scope", "a b"],
    ]);
    expect(result.ok && result.compiled.files.some((file) => file.endsWith("good.headers"))).toBe(true);
  });
});
