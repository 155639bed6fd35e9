import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { shopService } from "../../deploy/examples/chain/shop-service.ts";
import { listening, perch } from "../kit/freed.ts";
import type { TestPerch } from "../kit/perch.ts";
import { renameOver, soon, temporaryFolder } from "../kit/served.ts";

const example = (name: string) => fileURLToPath(new URL(`../../deploy/examples/chain/${name}.yaml`, import.meta.url));

const crowd = Array.from({ length: 120 }, (_, at) => ({
  "x-user-id": `user-${at}`,
  "x-user-region": at % 10 === 0 ? "cn-east" : "us",
}));
const fromTheEast = crowd.filter((user) => user["x-user-region"] === "cn-east").length;

/** The example's configurations, on free ports; the first from a file that a test may change. */
async function chain() {
  const file = join(await temporaryFolder(), "web.yaml");
  await writeFile(file, await readFile(example("web"), "utf8"));
  const stock = await sidecar(example("stock"), "STOCK", {
    STOCK_STABLE: await service("stock", "stable"),
    STOCK_CANARY: await service("stock", "canary"),
  });
  const orders = await sidecar(example("orders"), "ORDERS", {
    ORDERS_STABLE: await service("orders", "stable", stock.origin),
  });
  const web = await sidecar(file, "WEB", {
    WEB_STABLE: await service("web", "stable", orders.origin),
    WEB_CANARY: await service("web", "canary", orders.origin),
  });
  return { file, web, orders, stock };
}

async function sidecar(path: string, name: string, env: Readonly<Record<string, string>>): Promise<TestPerch> {
  const ports = { [`${name}_PORT`]: "0", [`${name}_ADMIN_PORT`]: "0" };
  return perch("", { source: { kind: "file", path }, env: { ...env, ...ports } });
}

async function service(name: string, version: string, next?: string): Promise<string> {
  const server = shopService(name, version, next);
  return `http://127.0.0.1:${await listening(server)}`;
}

/** The chains of services that answered, with the number of users of each. */
async function chains({ origin }: TestPerch): Promise<Readonly<Record<string, number>>> {
  const seen: Record<string, number> = {};
  for (const headers of crowd) {
    const chain = ((await (await fetch(origin, { headers })).json()) as string[]).join(" → ");
    seen[chain] = (seen[chain] ?? 0) + 1;
  }
  return seen;
}

const allStable = "web stable → orders stable → stock stable";
const allCanary = "web canary → orders stable → stock canary";

it("a chain of three services, with canaries in the first and the third, agrees on each user's version", {
  tags: ["slow"],
}, async () => {
  const { file, web, orders, stock } = await chain();
  const before = await chains(web);
  // Where the third service drew by itself, chains would mix.
  expect(Object.keys(before).toSorted()).toEqual([allCanary, allStable].toSorted());
  expect(before[allCanary]).toBeGreaterThan(fromTheEast);
  expect(before[allStable]).toBeGreaterThan(crowd.length / 3);
  const propagated = 'release="shop",version="stable",reason="propagated"';
  expect(await stock.metric(`perch_decisions_total{${propagated}}`)).toBe(before[allStable]);
  expect(await orders.metric('perch_decisions_total{release="shop",version="other",reason="propagated"}')).toBe(
    before[allCanary],
  );

  // A rollback at the first only, for all users but those of its rule.
  const text = await readFile(file, "utf8");
  await renameOver(file, text.replace("{ stable: 70, canary: 30 }", "{ stable: 100, canary: 0 }"));
  await expect.poll(() => web.metric('perch_config_reloads_total{result="success"}'), soon).toBe(1);
  expect(await chains(web)).toEqual({ [allStable]: crowd.length - fromTheEast, [allCanary]: fromTheEast });
});

it("a request without a propagated version is decided at the service", async () => {
  const { stock } = await chain();
  const us = await fetch(stock.origin, { headers: { "x-user-region": "us" } });
  expect(await us.json()).toEqual(["stock canary"]);
});
