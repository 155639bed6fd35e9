/**
 * Three services, each behind a Perch of its own, and a crowd in front: `node deploy/examples/chain/run.ts` from a
 * checkout, after `npm ci`. It takes ports 3001 to 3005, 8080 to 8082 and 9901 to 9903 of this machine.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { shopService } from "./shop-service.ts";

const perch = fileURLToPath(new URL("../../../src/cli/main.ts", import.meta.url));
const web = "http://127.0.0.1:8080";
const orders = "http://127.0.0.1:8081";
const stock = "http://127.0.0.1:8082";

const servers = [
  shopService("web", "stable", orders).listen(3001, "127.0.0.1"),
  shopService("web", "canary", orders).listen(3002, "127.0.0.1"),
  shopService("orders", "stable", stock).listen(3003, "127.0.0.1"),
  shopService("stock", "stable", undefined).listen(3004, "127.0.0.1"),
  shopService("stock", "canary", undefined).listen(3005, "127.0.0.1"),
];
const perches = ["web", "orders", "stock"].map((name) => {
  const file = fileURLToPath(new URL(`${name}.yaml`, import.meta.url));
  const child = spawn(process.execPath, [perch, "serve", "-c", file], { stdio: ["ignore", "ignore", "pipe"] });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.stderr.on("data", (lines: Buffer) => {
    if (lines.includes('"serving"')) resolve();
  });
  child.on("exit", () => reject(new Error(`the Perch of ${name} ended`)));
  return { child, serving: promise };
});

try {
  await Promise.all(perches.map(({ serving }) => serving));
  const seen = new Map<string, number>();
  for (let user = 0; user < 200; user++) {
    const region = user % 10 === 0 ? "cn-east" : "us";
    const answer = await fetch(web, { headers: { "x-user-id": `user-${user}`, "x-user-region": region } });
    const chain = ((await answer.json()) as string[]).join(" → ");
    seen.set(chain, (seen.get(chain) ?? 0) + 1);
  }
  for (const [chain, users] of seen) console.info(`${String(users).padStart(4)} users: ${chain}`);
} finally {
  for (const { child, serving } of perches) {
    serving.catch(() => {});
    child.kill();
  }
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
}
