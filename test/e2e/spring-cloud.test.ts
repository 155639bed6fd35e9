import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { shopService } from "../../deploy/examples/chain/shop-service.ts";
import { listening, perch } from "../kit/freed.ts";

const page = new URL("../../docs/coming-from/spring-cloud-gray.md", import.meta.url);
const users = Array.from({ length: 40 }, (_, at) => `user-${at}`);

/** A configuration of the page, by its first line; `name` is the service's. */
async function fromPage(title: string, name: string, versions: readonly [string, string]): Promise<string> {
  const blocks = (await readFile(page, "utf8")).matchAll(/```yaml\n# (\w+)\n(.*?)```/gs);
  const [, , yaml = ""] = [...blocks].find(([, found]) => found === title) ?? [];
  const [stable, canary] = versions;
  return yaml
    .replaceAll(/\bweb\b/g, name)
    .replaceAll(/\$\{\w+_STABLE\}/g, stable)
    .replaceAll(/\$\{\w+_CANARY\}/g, canary);
}

async function service(name: string, version: string, header: string, next?: string): Promise<string> {
  const server = shopService(name, version, next, [header]);
  return `http://127.0.0.1:${await listening(server)}`;
}

describe.each([
  { name: "Nepxion Discovery", front: "front", behind: "behind", header: "n-d-version", old: "stable", next: "canary" },
  { name: "MSE", front: "lane", behind: "lane", header: "x-mse-tag", old: "base", next: "gray" },
])("lanes as $name has them, by the configuration of the page", ({ front, behind, header, old, next }) => {
  /** Three services that hand on this one header; Perch stands before the first and the third. */
  async function chain() {
    const both = async (name: string, after?: string): Promise<[string, string]> => [
      await service(name, old, header, after),
      await service(name, next, header, after),
    ];
    const stock = await perch(await fromPage(behind, "stock", await both("stock")));
    const orders = await service("orders", "baseline", header, stock.origin);
    const web = await perch(await fromPage(front, "web", await both("web", orders)));
    return { web: web.origin, stock: stock.origin };
  }

  it("the whole chain of a user is in one lane, with a baseline in its middle", async () => {
    const { web } = await chain();
    const ways = new Set<string>();
    for (const user of users) {
      const answer = await fetch(web, { headers: { "x-user-id": user } });
      ways.add(((await answer.json()) as string[]).join(" → "));
    }
    const wayOf = (version: string) => `web ${version} → orders baseline → stock ${version}`;
    expect([...ways].toSorted()).toEqual([wayOf(next), wayOf(old)].toSorted());
  });

  it("a caller's lane is honoured behind, and one that nobody has falls to the baseline", async () => {
    const { stock } = await chain();
    const ask = async (value: string) => (await fetch(stock, { headers: { [header]: value } })).json();
    const words = header === "n-d-version" ? { old: "1.0", next: "1.1" } : { old, next };
    expect(await ask(words.next)).toEqual([`stock ${next}`]);
    expect(await ask(words.old)).toEqual([`stock ${old}`]);
    expect(await ask("blue")).toEqual([`stock ${old}`]);
    expect(await ask(JSON.stringify({ orders: words.old, stock: words.next }))).toEqual([`stock ${next}`]);
  });
});
