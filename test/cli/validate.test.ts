import { describe, expect, it } from "vitest";
import { perch, temporaryFolder } from "./captured-terminal.ts";

const file = temporaryFolder();

const minimal = `services:
  shop: { versions: { stable: { endpoints: ["http://\${UPSTREAM}:80"] } } }
routes:
  - { name: shop, service: shop }
`;
const good = file("good.yaml", minimal);
const warned = file("warned.yaml", minimal.replace("routes:", "releases: { shop: { split: { stable: 1 } } }\nroutes:"));
const bad = file("bad.yaml", minimal.replace("services:", "servces:").replace("service: shop", "service: shp"));
const releases = "releases: { shop: { split: { stable: 1 } } }\nroutes:";
const mixed = file("mixed.yaml", minimal.replace("routes:", releases).replace("service: shop", "service: shp"));
const env = { UPSTREAM: "shop" };

describe("perch validate", () => {
  it("summarises a valid file on stdout, and prints nothing else", async () => {
    const { code, out, err } = await perch(["validate", good], env);
    expect(out).toMatch(/good\.yaml: ok \([0-9a-f]{12}, 1 route, 1 service, 0 releases, 0 warnings\)\n$/);
    expect({ code, err }).toEqual({ code: 0, err: "" });
  });

  it.each([
    ["-c", ["-c", good, "-c", warned, mixed]],
    ["--config", [mixed, `--config=${good}`, "--config", warned]],
  ])("takes files by %s, as the other commands do, and those without it as well", async (_, args) => {
    const { code, out, err } = await perch(["validate", ...args], env);
    expect(out.match(/\S+\.yaml(?=: ok)/g)).toEqual([good, warned]);
    expect(err).toContain(`${mixed}: invalid`);
    expect(code).toBe(2);
  });

  it("prints warnings on stderr without failing", async () => {
    const { code, out, err } = await perch(["validate", warned], env);
    expect(code).toBe(0);
    expect(out).toMatch(/1 release, 2 warnings/);
    expect(err).toContain("warned.yaml:3:");
    expect(err).toContain("warning: ");
  });

  it("reports every problem of every file with its location, and continues with the next file", async () => {
    const { code, out, err } = await perch(["validate", bad, good, `${good}.gone`], env);
    expect(code).toBe(2);
    expect(out).toMatch(/^\S+good\.yaml: ok [^\n]+\n$/);
    expect(err).toMatch(/bad\.yaml:1:1: error: unknown key "servces"[^\n]+\n {3}1 \| servces:\n {5}\| \^{7}\n/);
    expect(err).toMatch(/bad\.yaml:4:28: error: unknown service "shp"/);
    expect(err).toContain("good.yaml.gone:1:1: error: the configuration cannot be read: no such file\n");
  });

  it("prints only the errors of an invalid file, and how many warnings it has", async () => {
    const { code, err } = await perch(["validate", mixed], env);
    expect(code).toBe(2);
    expect(err).toMatch(/^\S+mixed\.yaml:5:28: error: unknown service "shp"/);
    expect(err).not.toContain("warning: ");
    expect(err).toMatch(
      /\S+mixed\.yaml: invalid \(1 error, 3 warnings; warnings are shown once the errors are fixed\)\n$/,
    );
  });

  it("lists the warnings of an invalid file with --json, after its errors", async () => {
    const { out } = await perch(["validate", "--json", mixed], env);
    const severities = JSON.parse(out)[0].problems.map(({ severity }: { severity: string }) => severity);
    expect(severities).toEqual(["error", "warning", "warning", "warning"]);
  });

  it("reports an environment variable that is not set", async () => {
    const { code, err } = await perch(["validate", good]);
    expect(code).toBe(2);
    expect(err).toContain("good.yaml:2:");
    expect(err).toContain("UPSTREAM");
  });

  it("prints one JSON array with --json, and nothing on stderr", async () => {
    const { code, out, err } = await perch(["validate", "--json", good, bad], env);
    expect({ code, err }).toEqual({ code: 2, err: "" });
    const hash = expect.stringMatching(/^[0-9a-f]{64}$/);
    expect(JSON.parse(out)).toEqual([
      { file: good, ok: true, hash, problems: [] },
      {
        file: bad,
        ok: false,
        problems: expect.arrayContaining([expect.objectContaining({ code: "unknown-key", line: 1, column: 1 })]),
      },
    ]);
  });

  it.each([
    { sentence: "without a file", args: ["validate"], message: "no file to validate" },
    { sentence: "with standard input twice", args: ["validate", "-", "-"], message: "- can be given only once" },
    { sentence: "with standard input twice, once by -c", args: ["validate", "-c", "-", "-"], message: "only once" },
    { sentence: "with an unknown option", args: ["validate", "--jsno", "x"], message: "--jsno" },
  ])("refuses to run $sentence", async ({ args, message }) => {
    const { code, out, err } = await perch(args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(message);
    expect(err).toContain("See perch validate --help.");
  });
});
