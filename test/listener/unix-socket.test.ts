import { existsSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { freeAfterTest, perch, upstream } from "../kit/freed.ts";
import { lanes, shopAt } from "../kit/one-service.ts";
import { perchProcess, temporaryFolder } from "../kit/served.ts";

const socketListener = (path: string, more = "") => `{ name: local, address: "unix:${path}"${more} }`;

function getOver(socketPath: string, headers: Readonly<Record<string, string>> = {}): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const sent = request({ socketPath, agent: false, headers: { host: "shop.example", ...headers } }, (response) => {
    response.resume().on("end", () => resolve(response.statusCode));
  });
  sent.on("error", reject).end();
  return promise;
}

describe.each(lanes)("a listener on a unix socket, in the $lane lane", ({ fastLane }) => {
  it("serves, and takes the caller's address as unknown", async () => {
    const shop = await upstream("stable");
    const path = join(await temporaryFolder(), "perch.sock");
    await perch(shopAt(shop.origin, `fastLane: ${fastLane}`), { listeners: socketListener(path) });
    expect(await getOver(path, { "x-forwarded-for": "198.51.100.1" })).toBe(200);
    expect(shop.seen[0]?.headers["x-forwarded-for"]).toBe("unknown");
  });

  it("trusts its callers where trustedProxies has unix", async () => {
    const shop = await upstream("stable");
    const path = join(await temporaryFolder(), "perch.sock");
    const more = `fastLane: ${fastLane}\ntrustedProxies: [unix]`;
    await perch(shopAt(shop.origin, more), { listeners: socketListener(path) });
    expect(await getOver(path, { "x-forwarded-for": "198.51.100.1", "x-forwarded-proto": "https" })).toBe(200);
    expect(shop.seen[0]?.headers).toMatchObject({
      "x-forwarded-for": "198.51.100.1",
      "x-forwarded-proto": "https",
    });
  });
});

describe("the file of a unix socket", () => {
  it("has the permissions of the configuration, and is removed at the end", async () => {
    const path = join(await temporaryFolder(), "perch.sock");
    const started = await perch(shopAt("http://127.0.0.1:1"), { listeners: socketListener(path, ", mode: 0600") });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await started.app.drain("test");
    await started.stop();
    expect(existsSync(path)).toBe(false);
  });

  it("is for its owner and group by default", async () => {
    const path = join(await temporaryFolder(), "perch.sock");
    await perch(shopAt("http://127.0.0.1:1"), { listeners: socketListener(path) });
    expect(statSync(path).mode & 0o777).toBe(0o660);
  });

  it("is taken over from a dead process", { tags: ["slow"] }, async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "perch.sock");
    const file = join(folder, "perch.yaml");
    writeFileSync(
      file,
      `listeners: [${socketListener(path)}]\nadmin: { address: "127.0.0.1:0" }\n${shopAt("http://127.0.0.1:1")}`,
    );
    const first = perchProcess(["serve", "-c", file]);
    await first.logged("serving");
    first.signal("SIGKILL");
    await first.exited;
    expect(existsSync(path)).toBe(true);
    const shop = await upstream("stable");
    await perch(shopAt(shop.origin), { listeners: socketListener(path) });
    expect(await getOver(path)).toBe(200);
  });

  it("stays where another process serves it", async () => {
    const path = join(await temporaryFolder(), "perch.sock");
    const other = createServer().listen(path);
    freeAfterTest(async () => other.close());
    await expect(perch(shopAt("http://127.0.0.1:1"), { listeners: socketListener(path) })).rejects.toThrow(
      `perch: listener "local" cannot listen on unix:${path}: another process listens on this socket (EADDRINUSE); stop it or choose another path`,
    );
    expect(existsSync(path)).toBe(true);
  });

  it("never replaces a file that is no socket", async () => {
    const path = join(await temporaryFolder(), "precious");
    writeFileSync(path, "precious");
    await expect(perch(shopAt("http://127.0.0.1:1"), { listeners: socketListener(path) })).rejects.toThrow(
      "the path exists and is not a socket (ENOTSOCK)",
    );
    expect(existsSync(path)).toBe(true);
  });

  it("needs a folder", async () => {
    const path = join(await temporaryFolder(), "missing", "perch.sock");
    await expect(perch(shopAt("http://127.0.0.1:1"), { listeners: socketListener(path) })).rejects.toThrow(
      "the directory does not exist, or the user that runs Perch cannot write to it (EACCES)",
    );
  });

  it("is served by one of several workers", { tags: ["slow"] }, async () => {
    const shop = await upstream("stable");
    const path = join(await temporaryFolder(), "perch.sock");
    const listeners = `{ name: web, address: "127.0.0.1:0" }, ${socketListener(path)}`;
    const started = await perch(shopAt(shop.origin, "workers: 2"), { listeners });
    expect(await Promise.all([getOver(path), getOver(path)])).toEqual([200, 200]);
    expect((await fetch(started.origin)).status).toBe(200);
    await started.stop();
    expect(existsSync(path)).toBe(false);
  });
});
