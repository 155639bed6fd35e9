/** @module-tag slow */
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { listening, perch, upstream } from "../kit/freed.ts";
import { lanes, servedBy, shopYaml } from "../kit/one-service.ts";
import { changeablePerch, freePorts, renameOver, soon, temporaryFolder } from "../kit/served.ts";
import { keySet, type Signer, secretToken, signer } from "../kit/tokens.ts";
import type { TestUpstream } from "../kit/upstream.ts";

let issuer: Signer;
beforeAll(async () => {
  issuer = await signer("RS256");
});

const inAnHour = () => Math.floor(Date.now() / 1_000) + 3_600;

const release =
  "sticky: { by: userId }, rules: [{ name: east, when: { region: east }, use: canary }], split: { stable: 100, canary: 0 }";

async function shop(keys: string, more = "", top = "", serving?: TestUpstream) {
  const [stable, canary] = [await upstream("stable"), serving ?? (await upstream("canary"))];
  return `${top}
attributes:
  userId: { type: string, from: [{ jwt: sub }] }
  region: { type: string, from: [{ header: x-region }, { jwt: [address, region] }] }
jwt: { keys: [${keys}], issuer: https://id.example, audience: shop ${more} }
${shopYaml({ stable: stable.origin, canary: canary.origin, release })}`;
}

const claims = (more: object = {}) => ({
  sub: "ada",
  iss: "https://id.example",
  aud: "shop",
  exp: inAnHour(),
  address: { region: "east" },
  ...more,
});

async function keyFile(text: string): Promise<string> {
  const file = join(await temporaryFolder(), "keys");
  await writeFile(file, text);
  return file;
}

describe.each(lanes)("a claim of a verified token, in the $lane lane", ({ fastLane }) => {
  it("decides; one of an unverified token does not, and is counted", async () => {
    const file = await keyFile(keySet(issuer.jwk));
    const started = await perch(await shop(`{ jwksFile: ${file} }`, "", `fastLane: ${fastLane}`));
    const other = await signer("RS256");
    const send = async (token: string) => servedBy(started.port, `Authorization: Bearer ${token}\r\n`);
    expect(await send(await issuer.token(claims()))).toBe("canary");
    expect(await send(await other.token(claims()))).toBe("stable");
    expect(await send(await issuer.token(claims({ exp: 1 })))).toBe("stable");
    expect(await send(await issuer.token(claims({ aud: "blog" })))).toBe("stable");
    expect(await servedBy(started.port, "Authorization: Basic YTpi\r\n")).toBe("stable");
    const token = await issuer.token(claims());
    const twice = `Authorization: Bearer ${token}\r\n`;
    expect(await servedBy(started.port, twice + twice)).toBe("stable");
    const count = (cause: string) =>
      started.metric(`perch_attribute_errors_total{attribute="region",cause="${cause}"}`);
    const causes = ["jwt-signature", "jwt-expired", "jwt-audience", "repeated", "jwt-malformed", "unparsable"];
    expect(await Promise.all(causes.map(count))).toEqual([1, 1, 1, 1, 0, 0]);
  });

  it("is read from a cookie or another header; Authorization is then ignored", async () => {
    const file = await keyFile(keySet(issuer.jwk));
    const token = await issuer.token(claims());
    const lane = `fastLane: ${fastLane}`;
    const byCookie = await perch(await shop(`{ jwksFile: ${file} }`, ", from: { cookie: session }", lane));
    const canary = await upstream("canary");
    const byHeader = await perch(await shop(`{ jwksFile: ${file} }`, ", from: { header: X-Id-Token }", lane, canary));
    expect(await servedBy(byCookie.port, `Cookie: a=b; session=${token}\r\n`)).toBe("canary");
    expect(await servedBy(byCookie.port, `Authorization: Bearer ${token}\r\n`)).toBe("stable");
    expect(await servedBy(byHeader.port, `x-id-token: ${token}\r\n`)).toBe("canary");
    // Connection does not remove it (CVE-2026-33805).
    expect(await servedBy(byHeader.port, `x-id-token: bearer ${token}\r\nConnection: x-id-token\r\n`)).toBe("canary");
    expect(canary.seen.map(({ headers }) => headers["x-id-token"])).toEqual([token, `bearer ${token}`]);
  });
});

describe("keys of tokens", () => {
  it("follow a file that changes, and keep their state where it is not valid", async () => {
    const old = Buffer.alloc(32, "o");
    const fresh = Buffer.alloc(32, "n");
    const file = await keyFile(`${old}\n`);
    const { perch: started, reloadedBy } = await changeablePerch(freePorts + (await shop(`{ secretFile: ${file} }`)));
    const send = async (secret: Buffer) =>
      servedBy(started.port, `Authorization: Bearer ${await secretToken(secret, claims())}\r\n`);
    expect([await send(old), await send(fresh)]).toEqual(["canary", "stable"]);
    await reloadedBy(() => renameOver(file, `${fresh}\n${old}\n`));
    expect([await send(old), await send(fresh)]).toEqual(["canary", "canary"]);
    await renameOver(file, "short\n");
    await expect.poll(() => started.metric("perch_config_last_reload_successful"), soon).toBe(0);
    expect([await send(old), await send(fresh)]).toEqual(["canary", "canary"]);
    await reloadedBy(() => renameOver(file, `${fresh}\n`));
    expect([await send(old), await send(fresh)]).toEqual(["stable", "canary"]);
  });

  it.each([1, 2])(
    "that are published are fetched, and the start does not wait for them: workers: %d",
    async (workers) => {
      const waiting: (() => void)[] = [];
      let open = false;
      const publisher = createServer((_request, response) => {
        const answer = () => void response.end(keySet(issuer.jwk));
        if (open) answer();
        else waiting.push(answer);
      });
      const url = `http://127.0.0.1:${await listening(publisher)}/jwks.json`;
      const started = await perch(await shop(`{ jwksUrl: "${url}" }`, "", `workers: ${workers}`));
      const fields = `Authorization: Bearer ${await issuer.token(claims())}\r\n`;
      expect(await servedBy(started.port, fields)).toBe("stable");
      open = true;
      for (const answer of waiting) answer();
      const versions = async () =>
        new Set(await Promise.all(Array.from({ length: 8 }, () => servedBy(started.port, fields))));
      await expect.poll(versions, soon).toEqual(new Set(["canary"]));
      await expect
        .poll(() => started.metric('perch_jwks_fetches_total{result="success"}'), soon)
        .toBeGreaterThanOrEqual(workers);
      const token = encodeURIComponent(fields.trim());
      const explained = await (await started.admin(`/api/explain?url=http://shop/&header=${token}`)).json();
      expect(explained).toMatchObject({
        version: "canary",
        attributes: { userId: { value: "ada", source: "claim sub" }, region: { source: "claim address › region" } },
      });
    },
  );
});
