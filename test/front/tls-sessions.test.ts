import type { ConnectionOptions, TLSSocket } from "node:tls";
import { describe, expect, it, test } from "vitest";
import { freeAfterTest } from "../kit/freed.ts";
import { certFile, certificateYaml, certPem, keyPem } from "../kit/pki.ts";
import { changeablePerch } from "../kit/served.ts";
import { shownName, tlsConnect, tlsGet } from "../kit/tls-client.ts";
import { shopAt, shopTls, tlsListener, tlsPerch } from "../kit/tls-perch.ts";

const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const known = { cert: certPem("client"), key: keyPem("client") };

/** A session to come back with, after a request over it. */
async function sessionOf(port: number, options: ConnectionOptions = {}): Promise<Buffer> {
  const socket = await tlsConnect(port, options);
  let received = "";
  socket.setEncoding("latin1").on("data", (text: string) => {
    received += text;
  });
  socket.write(get);
  await expect.poll(() => received).not.toBe("");
  const session = socket.getSession();
  socket.destroy();
  if (session === undefined) throw new Error("no session");
  return session;
}

async function comeBack(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = await tlsConnect(port, options);
  freeAfterTest(async () => socket.destroy());
  return socket;
}

describe("a session", () => {
  test.for(["TLSv1.2", "TLSv1.3"] as const)("is resumed, %s", async (maxVersion) => {
    const { perch } = await tlsPerch(shopTls);
    const session = await sessionOf(perch.port, { maxVersion });
    expect((await comeBack(perch.port, { maxVersion, session })).isSessionReused()).toBe(true);
    expect((await tlsGet(perch.port, { maxVersion, session })).status).toBe(200);
  });

  it("is resumed by name, and with a client certificate that was shown before", async () => {
    const tls = `certificates: [${certificateYaml("shop")}, ${certificateYaml("wildcard")}], clientCa: ${certFile("authority")}`;
    const { perch } = await tlsPerch(tls);
    for (const servername of ["shop.example", "api.example.org"]) {
      const session = await sessionOf(perch.port, { ...known, servername });
      expect((await comeBack(perch.port, { ...known, servername, session })).isSessionReused()).toBe(true);
      expect((await tlsGet(perch.port, { ...known, servername, session })).status).toBe(200);
    }
  });

  it("is resumed by any of several workers", async () => {
    const { perch } = await tlsPerch(shopTls, "workers: 3");
    const session = await sessionOf(perch.port);
    for (let visit = 0; visit < 12; visit++) {
      const socket = await tlsConnect(perch.port, { session });
      expect(socket.isSessionReused()).toBe(true);
      socket.destroy();
    }
  });

  it("is resumed after a reload", async () => {
    const file = (body: string) =>
      `listeners: [${tlsListener(shopTls)}]\nadmin: { address: "127.0.0.1:0" }\n${shopAt("http://127.0.0.1:1")}${body}`;
    const { perch, change } = await changeablePerch(file(""));
    const session = await sessionOf(perch.port);
    await change(file("exposeVersion: true"));
    expect((await comeBack(perch.port, { session })).isSessionReused()).toBe(true);
  });

  // A ticket must not stand in for a certificate that was never shown.
  test.for(["TLSv1.2", "TLSv1.3"] as const)(
    "of a listener that asks for no certificate is none of one that does, %s (CVE-2025-23419)",
    async (maxVersion) => {
      const open = tlsListener(shopTls).replace("name: web", "name: open");
      const listeners = `${open}, ${tlsListener(`${shopTls}, clientCa: ${certFile("authority")}`)}`;
      const { perch, shop } = await tlsPerch("", "", { listeners });
      const [openPort, closedPort] = perch.app.listeners.map(({ address }) =>
        typeof address === "object" ? address.port : 0,
      );
      const session = await sessionOf(openPort ?? 0, { maxVersion });
      await expect.poll(() => shop.seen.length).toBe(1);
      await expect(tlsGet(closedPort ?? 0, { maxVersion, session })).rejects.toThrow();
      expect(shop.seen).toHaveLength(1);
      // Nor is it in the way of whoever has one.
      expect((await tlsGet(closedPort ?? 0, { ...known, maxVersion, session })).status).toBe(200);
    },
  );

  it("that began before clientCa was there is none after it", async () => {
    const file = (tls: string) =>
      `listeners: [${tlsListener(tls)}]\nadmin: { address: "127.0.0.1:0" }\n${shopAt("http://127.0.0.1:1")}`;
    const { perch, change } = await changeablePerch(file(shopTls));
    const session = await sessionOf(perch.port);
    await change(file(`${shopTls}, clientCa: ${certFile("authority")}`));
    await expect(tlsGet(perch.port, { session })).rejects.toThrow();
    const socket = await comeBack(perch.port, { ...known, session });
    expect({ shown: shownName(socket), resumed: socket.isSessionReused() }).toEqual({
      shown: "shop.example",
      resumed: false,
    });
  });
});
