/** @module-tag slow */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { RolloutEvent } from "../../src/rollout/rollout-state.ts";
import { upstream } from "../kit/freed.ts";
import type { TestPerch } from "../kit/perch.ts";
import { freePorts, perchOn, perchProcess, renameOver, soon, temporaryFolder } from "../kit/served.ts";
import { Visitor } from "../kit/visitor.ts";

const token = "a-token-of-more-than-thirty-two-bytes";

async function shop(split: string, more = "") {
  const folder = await temporaryFolder();
  const [stable, canary] = [await upstream("stable"), await upstream("canary")];
  const text = (weights: string) => `
listeners: [{ name: web, address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0", tokenFile: tokens }
services:
  shop:
    default: stable
    versions:
      stable: { endpoints: ["${stable.origin}"] }
      canary: { endpoints: ["${canary.origin}"] }
releases:
  shop: { split: ${weights} }
routes: [{ name: all, service: shop, release: shop }]
${more}`;
  const file = join(folder, "perch.yaml");
  writeFileSync(join(folder, "tokens"), token);
  writeFileSync(file, text(split));
  return { file, text, perch: await perchOn(file) };
}

async function ask(perch: TestPerch, method: string, path: string, body: object) {
  const answer = await fetch(perch.adminOrigin + path, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

const splitPath = "/api/releases/shop/split";

async function moved(perch: TestPerch, split: string): Promise<number> {
  const answer = await perch.admin(`${splitPath}/preview?split=${split}`);
  return ((await answer.json()) as { moved: number }).moved;
}

describe("a split that an operator sets", () => {
  it("is previewed, set, previewed back, and undone at the next request, all in the events", async () => {
    const { perch } = await shop("{ stable: 1, canary: 0 }");
    const user = new Visitor();
    expect((await user.get(perch.origin)).version).toBe("stable");
    expect(await moved(perch, "stable:0,canary:1")).toBe(1);
    expect((await ask(perch, "DELETE", splitPath, {})).status).toBe(404);

    const set = await ask(perch, "POST", splitPath, { split: { stable: 0, canary: 1 }, why: "a look" });
    expect(set.status).toBe(200);
    expect((await user.get(perch.origin)).version).toBe("canary");
    expect([await moved(perch, "stable:0,canary:1"), await moved(perch, "stable:1,canary:0")]).toEqual([0, 1]);

    const ended = await ask(perch, "DELETE", splitPath, { why: "enough seen" });
    expect(ended).toMatchObject({ status: 200, body: { changed: true, ended: { split: { canary: 1 } } } });
    expect((await user.get(perch.origin)).version).toBe("stable");
    expect(await (await perch.admin("/api/rollouts")).json()).toMatchObject({ splits: [] });
    const events: readonly RolloutEvent[] = perch.app.rollouts.eventsAfter(0);
    expect(events.map(({ type, why }) => [type, why])).toEqual([
      ["split", "split set to stable 0, canary 1: a look"],
      ["split", "the split set by hand ends, and the configured one holds again: enough seen"],
    ]);
  });
});

describe("a configuration that somebody may load", () => {
  it.each(["", "workers: 2\n"])("is planned against the active one, also after a reload %j", async (more) => {
    const { perch, file, text } = await shop("{ stable: 1, canary: 0 }", more);
    const next = text("{ stable: 0, canary: 1 }");
    const planned = async () => JSON.stringify((await ask(perch, "POST", "/api/plan", { config: next })).body);
    expect(await planned()).toContain('"pinned":{"moved":1,"moves":[{"from":"stable","to":"canary","share":1}]}');
    await renameOver(file, next);
    await expect.poll(planned, soon).toContain('"change":"unchanged"');
    const invalid = await ask(perch, "POST", "/api/plan", { config: next.replace("split", "spilt") });
    const unknown = expect.stringMatching(/:11:11: error: unknown key "spilt".*\n.*\n.*\^{5}$/);
    expect(invalid.body).toMatchObject({ valid: false, problems: expect.arrayContaining([unknown]) });
  });

  it("is planned by the program itself, with the variables of its environment, without a token from this machine", async () => {
    const yaml = `
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:8001/"] } } } }
routes: [{ name: all, service: shop, requestHeaders: { set: { x-place: "\${PLACE}" } } }]
`;
    const file = join(await temporaryFolder(), "perch.yaml");
    writeFileSync(file, freePorts + yaml);
    const { admin } = await perchProcess(["serve", "-c", file], { PLACE: "east" }).serving();
    const answer = await fetch(`${admin}/api/plan`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ config: freePorts + yaml }),
    });
    expect(await answer.json()).toMatchObject({
      valid: true,
      plan: { units: 10_000, reload: { changes: [], restartNeeded: [] } },
    });
  });
});
