/** @module-tag slow */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { upstream } from "../kit/freed.ts";
import { shopAt } from "../kit/one-service.ts";
import { certFile, certPem, keyFile, type TestCertificate } from "../kit/pki.ts";
import { changeablePerch, renameOver, soon, temporaryFolder } from "../kit/served.ts";
import { shownName, tlsConnect, tlsGet } from "../kit/tls-client.ts";

/** A mounted certificate, in files that change. */
async function mounted(first: TestCertificate) {
  const folder = await temporaryFolder();
  const cert = join(folder, "tls.crt");
  const key = join(folder, "tls.key");
  const put = (name: TestCertificate) => {
    copyFileSync(certFile(name), cert);
    copyFileSync(keyFile(name), key);
  };
  put(first);
  return { cert, key, put, yaml: `{ certFile: ${cert}, keyFile: ${key} }` };
}

const serial = async (port: number) => {
  const socket = await tlsConnect(port, { rejectUnauthorized: false });
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
};

const expiry = 'perch_certificate_expiry_timestamp_seconds{listener="web",certificate="shop.example"}';

const file = (certificates: string, origin: string, more = "") => `
listeners: [{ name: web, address: "127.0.0.1:0", tls: { certificates: [${certificates}]${more} } }]
admin: { address: "127.0.0.1:0" }
${shopAt(origin)}`;

describe.each(["1", "2"])("certificates, with %s workers", (workers) => {
  const workersYaml = `workers: ${workers}\n`;

  it("are reloaded when their files change, and connections stay", async () => {
    const shop = await upstream("stable");
    const { yaml, put } = await mounted("shop");
    const { perch, reloadedBy } = await changeablePerch(workersYaml + file(yaml, shop.origin));
    const kept = await tlsConnect(perch.port);
    const before = await serial(perch.port);
    // Only the second write makes a pair again; a check in between finds a mismatch, and changes nothing.
    await reloadedBy(async () => put("renewed"));
    await expect.poll(() => serial(perch.port), soon).not.toBe(before);
    let received = "";
    kept.setEncoding("latin1").on("data", (text: string) => {
      received += text;
    });
    kept.write("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    await expect.poll(() => received).toContain("hello from stable");
    kept.destroy();
  });

  it("of which only one file changed are not, and the last good ones stay", async () => {
    const shop = await upstream("stable");
    const { yaml, cert, put } = await mounted("shop");
    const { perch, reloadedBy } = await changeablePerch(workersYaml + file(yaml, shop.origin));
    const before = await serial(perch.port);
    await renameOver(cert, certPem("renewed"));
    await expect.poll(() => perch.metric("perch_config_last_reload_successful"), soon).toBe(0);
    const { lastError } = (await (await perch.admin("/api/config")).json()) as { lastError: { text: string } };
    expect(lastError.text).toMatch(
      /perch\.yaml:3:\d+: error: .*tls\.key cannot be used: it does not match the certificate/,
    );
    expect(await serial(perch.port)).toBe(before);
    await reloadedBy(async () => put("renewed"));
    await expect.poll(() => serial(perch.port), soon).not.toBe(before);
  });
});

describe("a listener's tls", () => {
  it("follows the file: names, clientCa, TLS at all", async () => {
    const shop = await upstream("stable");
    const one = `{ certFile: ${certFile("shop")}, keyFile: ${keyFile("shop")} }`;
    const two = `${one}, { certFile: ${certFile("wildcard")}, keyFile: ${keyFile("wildcard")} }`;
    const { perch, change } = await changeablePerch(file(one, shop.origin));
    await change(file(two, shop.origin));
    const socket = await tlsConnect(perch.port, { servername: "api.example.org" });
    expect(shownName(socket)).toBe("wildcard");
    socket.destroy();
    await change(file(two, shop.origin, `, clientCa: ${certFile("authority")}`));
    await expect(tlsGet(perch.port)).rejects.toThrow();
    await change(file(two, shop.origin).replace(/, tls: .*/, " }]"));
    expect((await fetch(perch.origin)).status).toBe(200);
    const { restartNeeded } = (await (await perch.admin("/api/config")).json()) as { restartNeeded: string[] };
    expect(restartNeeded).toEqual([]);
  });

  it("has the expiry of its certificates in a metric", async () => {
    const one = `{ certFile: ${certFile("shop")}, keyFile: ${keyFile("shop")} }`;
    const { perch, change } = await changeablePerch(file(one, "http://127.0.0.1:1"));
    expect(await perch.metric(expiry)).toBe(Date.UTC(2120, 0, 1) / 1000);
    await change(file(one, "http://127.0.0.1:1").replace(/, tls: .*/, " }]"));
    expect(await perch.metric(expiry)).toBeUndefined();
  });
});
