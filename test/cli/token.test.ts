import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Overrides } from "../../src/decide/override.ts";
import { perch, temporaryFolder } from "./captured-terminal.ts";

const file = temporaryFolder();
const secret = "s".repeat(32);
file("tokens", `${secret}\n${"t".repeat(32)}\n`);
const config = file(
  "perch.yaml",
  `services: { shop: { versions: { stable: { endpoints: ["http://a:1"] }, canary: { endpoints: ["http://b:1"] } } } }
releases:
  shop: { override: { header: x-perch-version, cookie: perch-version, query: perch-version, secretFile: tokens } }
  quiet: { override: { header: x-perch-version, secretFile: tokens } }
  blog: { override: { header: x-perch-version, allowFrom: [10.0.0.0/8] } }
  plain: {}
routes:
  - { name: blog, match: { hosts: [blog] }, service: shop, release: blog }
  - { name: quiet, match: { hosts: [quiet] }, service: shop, release: quiet }
  - { name: plain, match: { hosts: [plain] }, service: shop, release: plain }
  - { name: shop, service: shop, release: shop }
`,
);
const nowMs = Date.UTC(2026, 5, 1);
const shopCanary = ["token", "-c", config, "--release", "shop", "--version", "canary"];

/** The version that a proxy resolves a token to. */
function resolve(token: string, atMs: number): string | undefined {
  const spec = { header: "x", cookie: undefined, query: undefined, allowFrom: [], secrets: [Buffer.from(secret)] };
  return new Overrides("shop", spec, ["stable", "canary"]).resolve(token, undefined, atMs);
}

describe("perch token", () => {
  beforeEach(() => void vi.useFakeTimers({ now: nowMs + 250, toFake: ["Date"] }));
  afterEach(() => void vi.useRealTimers());

  it("prints just the token on stdout, and how to send it on stderr", async () => {
    const { code, out, err } = await perch(shopCanary);
    const token = out.trim();
    expect(code).toBe(0);
    expect(out).toBe(`${token}\n`);
    expect(err).toBe(
      "Selects version canary of release shop until 2026-06-01T08:00:00.000Z. Send it as\n" +
        `  x-perch-version: ${token}\n  Cookie: perch-version=${token}\n`,
    );
    expect(resolve(token, nowMs + 8 * 3_600_000 - 1)).toBe("canary");
    expect(resolve(token, nowMs + 8 * 3_600_000)).toBeUndefined();
  });

  it.each([
    ["https://shop.example.com", "https://shop.example.com/?perch-version="],
    ["https://shop.example.com/a?x=1&y=%20#top", "https://shop.example.com/a?x=1&y=%20&perch-version="],
    ["http://shop/?perch-version=old&a", "http://shop/?a&perch-version="],
  ])("prints a link with --link %s", async (url, start) => {
    const { code, out, err } = await perch([...shopCanary, "--link", url]);
    expect(code).toBe(0);
    expect(out.startsWith(start)).toBe(true);
    const [token = ""] = out.slice(start.length).trim().split("#");
    expect(resolve(token, nowMs)).toBe("canary");
    expect(err).toBe("Anyone who opens it gets version canary of release shop until 2026-06-01T08:00:00.000Z.\n");
  });

  it("prints one object with --json, valid for --ttl", async () => {
    const { code, out, err } = await perch([...shopCanary, "--ttl", "30m", "--json"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const made = JSON.parse(out);
    expect(made).toEqual({
      token: expect.any(String),
      release: "shop",
      version: "canary",
      expiresAt: "2026-06-01T00:30:00.000Z",
      header: "x-perch-version",
      cookie: "perch-version",
      link: null,
    });
    expect(resolve(made.token, nowMs)).toBe("canary");
  });

  it("finds the configuration in PERCH_CONFIG too", async () => {
    const args = ["token", "--release", "shop", "--version", "stable"];
    expect(await perch(args, { PERCH_CONFIG: config })).toMatchObject({ code: 0 });
  });

  const of = (release: string, version: string) => ["token", "-c", config, "--release", release, "--version", version];
  it.each([
    {
      sentence: "an unknown release",
      args: of("shp", "canary"),
      message: 'unknown release "shp"; did you mean "shop"?',
    },
    {
      sentence: "an unknown version",
      args: of("shop", "v9"),
      message: 'unknown version "v9"; known: stable, canary',
    },
    {
      sentence: "a release without an override",
      args: of("plain", "canary"),
      message: "release plain accepts no tokens; add override: { header: x-perch-version, secretFile: FILE }",
    },
    {
      sentence: "an override without a secret",
      args: of("blog", "canary"),
      message: "release blog accepts no tokens; add secretFile: FILE to its override",
    },
    {
      sentence: "a link that is not a URL",
      args: [...shopCanary, "--link", "shop.example.com"],
      message: '--link "shop.example.com" is not a URL such as https://shop.example.com/cart',
    },
    {
      sentence: "a link for a release without override.query",
      args: [...of("quiet", "canary"), "--link", "https://shop.example.com"],
      message: "release quiet accepts no links; add query: perch-version to its override",
    },
    {
      sentence: "no release",
      args: ["token", "-c", config, "--version", "canary"],
      message: "--release NAME is required",
    },
    {
      sentence: "a ttl that is not a duration",
      args: [...shopCanary, "--ttl", "8"],
      message: '--ttl "8" is not a duration',
    },
    { sentence: "a ttl of zero", args: [...shopCanary, "--ttl", "0s"], message: '--ttl "0s" is not a duration' },
    {
      sentence: "no configuration",
      args: of("shop", "canary").toSpliced(1, 2),
      message: "no configuration: pass -c FILE",
    },
    {
      sentence: "a missing file",
      args: ["token", "-c", `${config}.gone`, ...of("shop", "canary").slice(3)],
      message: "no such file",
    },
  ])("reports $sentence", async ({ args, message }) => {
    const { code, out, err } = await perch(args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(message);
  });
});
