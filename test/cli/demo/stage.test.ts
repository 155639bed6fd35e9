import { createServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { startStage } from "../../../src/cli/demo/stage.ts";

const split = { stable: 75, canary: 25 };

const toRelease: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const release of toRelease.splice(0)) await release();
});

/** A loopback port that is in use until `release`. */
async function takePort(): Promise<{ port: number; release: () => Promise<void> }> {
  const server = createServer();
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", () => listening.resolve());
  await listening.promise;
  const closed = Promise.withResolvers<void>();
  server.once("close", () => closed.resolve());
  const release = () => {
    server.close();
    return closed.promise;
  };
  toRelease.push(release);
  const address = server.address();
  return { port: typeof address === "object" && address !== null ? address.port : 0, release };
}

describe("the demo's stage", () => {
  test.each([
    { is: "both preferred ports if both are free", proxyTaken: false, adminTaken: false },
    { is: "another port for the proxy only, if its port is in use", proxyTaken: true, adminTaken: false },
    { is: "another port for the admin server only, if its port is in use", proxyTaken: false, adminTaken: true },
    { is: "other ports for both, if both are in use", proxyTaken: true, adminTaken: true },
    // Another test may take a port that was just released.
  ])("uses $is", { retry: 3 }, async ({ proxyTaken, adminTaken }) => {
    const [proxy, admin] = [await takePort(), await takePort()];
    if (!proxyTaken) await proxy.release();
    if (!adminTaken) await admin.release();
    const stage = await startStage({ split, ports: { proxyPort: proxy.port, adminPort: admin.port } });
    try {
      const { proxyOrigin, adminOrigin } = stage;
      expect(proxyOrigin === `http://127.0.0.1:${proxy.port}`).toBe(!proxyTaken);
      expect(adminOrigin === `http://127.0.0.1:${admin.port}`).toBe(!adminTaken);
      expect(await (await fetch(proxyOrigin)).text()).toMatch(/^Hello from (stable 1\.7\.9|canary 1\.8\.0)\n$/);
      expect((await fetch(`${adminOrigin}/metrics`)).status).toBe(200);
    } finally {
      await stage.close();
    }
  });

  test("tells a token that may change something", async () => {
    const stage = await startStage({ split, ports: { proxyPort: 0, adminPort: 0 } });
    try {
      const change = (token: string) =>
        fetch(`${stage.adminOrigin}/api/releases/shop/split`, {
          method: "POST",
          headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
          body: JSON.stringify({ split: { stable: 1 } }),
        });
      expect((await change(`${stage.adminToken}x`)).status).toBe(401);
      expect((await change(stage.adminToken)).status).toBe(200);
    } finally {
      await stage.close();
    }
  });

  test("frees its ports", async () => {
    const stage = await startStage({ split, ports: { proxyPort: 0, adminPort: 0 } });
    await stage.close();
    await expect(fetch(stage.proxyOrigin)).rejects.toThrow();
    await expect(fetch(stage.adminOrigin)).rejects.toThrow();
  });
});
