import { connect } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { TestDnsServer } from "../kit/dns-server.ts";
import { perch, upstream } from "../kit/freed.ts";
import { shopAt } from "../kit/one-service.ts";
import { freePort, readiness } from "../kit/readiness.ts";
import { perchProcess, renameOver, temporaryFolder } from "../kit/served.ts";
import { bringFault, faultyWorker } from "../workers/fault-channel.ts";

async function accepts(where: { readonly port: number; readonly host: string } | { readonly path: string }) {
  const socket = connect(where);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
  return promise.finally(() => socket.destroy());
}

const starting = "503 not ready: starting, not every listener accepts connections yet";

describe("/readyz while Perch starts", () => {
  it.each([{ workers: 1 }, { workers: 2 }])(
    "is 503 until every listener accepts, while the name server is silent, with $workers worker(s)",
    async ({ workers }) => {
      const server = await TestDnsServer.start();
      server.mood = "silent";
      const folder = await temporaryFolder();
      const [admin, port] = [await freePort(), await freePort()];
      const places = [{ host: "127.0.0.1", port }, { path: join(folder, "perch.sock") }];
      const file = join(folder, "perch.yaml");
      await renameOver(
        file,
        `
listeners: [{ name: web, address: "127.0.0.1:${port}" }, { name: local, address: "unix:${folder}/perch.sock" }]
admin: { address: "127.0.0.1:${admin}" }
workers: ${workers}
dns: { servers: ["${server.address}"] }
services: { shop: { versions: { stable: { endpoints: [{ dns: shop.test, port: 80 }] } } } }
routes: [{ name: shop, service: shop }]`,
      );
      const process = perchProcess(["serve", "-c", file, "--warm-up", "0s"]);
      const seen = new Set<string>();
      let startingMs = Number.NaN;
      for (let state = ""; state !== "200 ok"; ) {
        if (process.child.exitCode !== null) throw new Error(process.stderr);
        state = await readiness(admin);
        if (state === starting && !seen.has(starting)) startingMs = performance.now();
        seen.add(state);
        // Asked after the readiness: a listener that accepts later was not ready before.
        if (state === "200 ok") expect(await Promise.all(places.map(accepts))).toEqual([true, true]);
      }
      expect([...seen]).toEqual(["no admin server", starting, "200 ok"]);
      await process.logged("serving");
      // Every worker waits 2 s for the name server: all of them at once.
      expect(performance.now() - startingMs).toBeLessThan(3_700);
    },
  );
});

describe("/readyz with a unix socket and two workers", () => {
  it("is 503 while the worker that has the socket is restarted, and the socket refuses", async () => {
    const stable = await upstream("stable");
    const path = join(await temporaryFolder(), "perch.sock");
    const listeners = `{ name: web, address: "127.0.0.1:0" }, { name: local, address: "unix:${path}" }`;
    const worker = { entry: faultyWorker };
    const started = await perch(shopAt(stable.origin, "workers: 2"), { listeners, worker });
    const { port } = new URL(started.adminOrigin);
    expect(await readiness(Number(port))).toBe("200 ok");
    bringFault(1, { kind: "throw" });
    await expect
      .poll(() => readiness(Number(port)), { timeout: 10_000, interval: 2 })
      .toBe("503 not ready: the worker that serves the unix sockets is being restarted");
    await expect.poll(() => readiness(Number(port)), { timeout: 10_000, interval: 5 }).toBe("200 ok");
    expect(await accepts({ path })).toBe(true);
  });
});
