/** @module-tag slow */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createEngine } from "../../src/index.ts";
import { perch, upstream } from "../kit/freed.ts";
import { mmdb, RawBytes } from "../kit/mmdb.ts";
import { lanes, servedBy, shopYaml } from "../kit/one-service.ts";
import { changeablePerch, freePorts, renameOver, soon, temporaryFolder } from "../kit/served.ts";

const of = (country: string) => ({ country: { iso_code: country }, subdivisions: [{ iso_code: "BJ" }] });

const config = (database: string, stable: string, canary: string) => `
trustedProxies: [127.0.0.0/8]
geo: { database: ${database} }
attributes:
  country: { type: string, from: [{ geo: country }] }
  region: { type: string, from: [{ geo: region }] }
${shopYaml({
  stable,
  canary,
  release:
    "rules: [{ name: near, when: { any: [{ country: DE }, { region: CN-BJ }] }, use: canary }], split: { stable: 100, canary: 0 }",
})}`;

async function shop(contents: Uint8Array = mmdb({ "198.51.100.0/24": of("CN"), "2001:db8::/32": of("DE") })) {
  const database = join(await temporaryFolder(), "places.mmdb");
  await writeFile(database, contents);
  const [stable, canary] = [await upstream("stable"), await upstream("canary")];
  return { database, yaml: config(database, stable.origin, canary.origin) };
}

const served = (port: number, client: string) => servedBy(port, `X-Forwarded-For: ${client}\r\n`);

describe.each(lanes)("a client's country and region, in the $lane lane", ({ fastLane }) => {
  it("come from the address that trusted proxies forward, and a broken record is counted", async () => {
    const broken = new RawBytes(Buffer.from([0, 0]));
    const contents = mmdb({ "198.51.100.0/24": of("CN"), "2001:db8::/32": of("DE"), "203.0.113.0/24": broken });
    const { yaml } = await shop(contents);
    const started = await perch(`fastLane: ${fastLane}\n${yaml}`);
    const answers = ["198.51.100.9", "2001:db8::1", "192.0.2.1", "203.0.113.1", "garbage"];
    expect(await Promise.all(answers.map((client) => served(started.port, client)))).toEqual([
      "canary",
      "canary",
      "stable",
      "stable",
      "stable",
    ]);
    const series = 'perch_attribute_errors_total{attribute="country",cause="geo-unreadable"}';
    expect(await started.metric(series)).toBe(1);
  });
});

describe("a geo database", () => {
  it.each([1, 2])("that changes is used at once, and a broken one is not: workers: %d", async (workers) => {
    const { database, yaml } = await shop();
    const text = `${freePorts}workers: ${workers}\n${yaml}`;
    const { perch: started, reloadedBy } = await changeablePerch(text);
    const at = async (client: string) =>
      new Set(await Promise.all(Array.from({ length: 6 }, () => served(started.port, client))));
    const replace = async (contents: Uint8Array) => {
      await writeFile(`${database}.new`, contents);
      await renameOver(database, contents as unknown as string);
    };
    expect(await at("198.51.100.9")).toEqual(new Set(["canary"]));
    await reloadedBy(() => replace(mmdb({ "192.0.2.0/24": of("DE") })));
    expect(await at("198.51.100.9")).toEqual(new Set(["stable"]));
    expect(await at("192.0.2.1")).toEqual(new Set(["canary"]));

    await replace(Buffer.from("no database"));
    await expect.poll(() => started.metric("perch_config_last_reload_successful"), soon).toBe(0);
    const { lastError } = (await (await started.admin("/api/config")).json()) as { lastError: { text: string } };
    expect(lastError.text).toContain("places.mmdb cannot be used: it is not a MaxMind database (.mmdb)");
    expect(await at("192.0.2.1")).toEqual(new Set(["canary"]));

    const explained = await started.admin("/api/explain?url=http://shop/&client=192.0.2.1");
    expect(await explained.json()).toMatchObject({
      attributes: { country: { value: "DE", source: "country of the client's address" } },
    });
  });

  it("that does not exist is an error at the start, with its position in the configuration", async () => {
    const { database, yaml } = await shop();
    const start = perch(yaml.replace(database, `${database}.gone`));
    await expect(start).rejects.toThrow(/:\d+:18: error: the file .*places\.mmdb\.gone cannot be used: no such file/);
  });

  it("is read by the library, too", async () => {
    const { yaml } = await shop();
    const engine = createEngine(yaml, { env: {} });
    const request = {
      url: "/",
      headers: { host: "shop", "x-forwarded-for": "198.51.100.9" },
      remoteAddress: "127.0.0.1",
    };
    expect(engine.decide(request)).toMatchObject({ version: "canary", attributes: { country: "CN", region: "CN-BJ" } });
  });
});
