/** @module-tag slow */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { RolloutBody } from "../../src/admin/rollout-body.ts";
import { StartError } from "../../src/app/app.ts";
import type { RolloutEvent } from "../../src/rollout/rollout-state.ts";
import { perch, upstream } from "../kit/freed.ts";
import type { TestPerch } from "../kit/perch.ts";
import { perchOn, renameOver, soon, temporaryFolder } from "../kit/served.ts";
import { Visitor } from "../kit/visitor.ts";

const token = "a-token-of-more-than-thirty-two-bytes";

interface Shop {
  readonly folder: string;
  /** The configuration with this rollout, other lines of the release, and other origins. */
  text(rollout: string, given?: { readonly release?: string; readonly canary?: string }): string;
  readonly file: string;
  breakCanary(): void;
  readonly canary: { readonly seen: readonly unknown[] };
}

async function shop(): Promise<Shop> {
  const folder = await temporaryFolder();
  writeFileSync(join(folder, "tokens"), token);
  let status = 200;
  const stable = await upstream("stable");
  const canary = await upstream("canary", (_request, response) => {
    response.writeHead(status, { "x-upstream": "canary" }).end();
  });
  return {
    folder,
    file: join(folder, "perch.yaml"),
    canary,
    breakCanary: () => {
      status = 500;
    },
    text: (rollout, given = {}) => `
listeners: [{ name: web, address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0", tokenFile: tokens }
state: { file: state.json }
services:
  shop:
    default: stable
    versions:
      stable: { endpoints: ["${stable.origin}"] }
      canary: { endpoints: ["${given.canary ?? canary.origin}"] }
releases:
  shop:
    split: { stable: 100, canary: 0 }
${given.release ?? ""}
${rollout === "" ? "" : `    rollout: ${rollout}`}
routes: [{ name: all, service: shop, release: shop }]
`,
  };
}

async function running(made: Shop, rollout: string, given?: Parameters<Shop["text"]>[1]): Promise<TestPerch> {
  await renameOver(made.file, made.text(rollout, given));
  return perchOn(made.file);
}

async function statusOf(perch: TestPerch): Promise<RolloutBody> {
  return (await perch.admin("/api/rollouts/shop")).json() as Promise<RolloutBody>;
}

const phaseOf = async (perch: TestPerch) => (await statusOf(perch)).phase;

async function ask(perch: TestPerch, verb: string, headers: Readonly<Record<string, string>> = {}) {
  return fetch(`${perch.adminOrigin}/api/rollouts/shop/${verb}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers },
    body: JSON.stringify({ why: "the test asks" }),
  });
}

/** One request each of new users; the versions that answered. */
async function visits(perch: TestPerch, users: number): Promise<string[]> {
  const versions: string[] = [];
  for (let user = 0; user < users; user++) versions.push((await new Visitor().get(perch.origin)).version);
  return versions;
}

const long = `{ id: "2", candidate: canary, steps: [{ weight: 50, hold: 1h }] }`;

describe("a rollout", () => {
  it("moves through its steps to the end, and tells each transition with its cause", async () => {
    const perch = await running(
      await shop(),
      `{ id: "2", candidate: canary, steps: [{ weight: 10, hold: 1s }, { weight: 50, hold: 1s }] }`,
    );
    expect(await statusOf(perch)).toMatchObject({ phase: "progressing", step: 1, weight: 10, id: "2" });
    await expect.poll(() => phaseOf(perch), soon).toBe("completed");
    expect(new Set(await visits(perch, 20))).toEqual(new Set(["canary"]));
    const types = perch.app.rollouts.eventsAfter(0).map(({ type, why }) => [type, why.length > 0]);
    expect(types.map(([type]) => type)).toEqual(["started", "step", "completed"]);
    expect(types.every(([, explained]) => explained)).toBe(true);
    expect(await perch.metric('perch_rollout_phase{release="shop",phase="completed"}')).toBe(1);
  });

  it("rolls a broken candidate back by itself, and nobody meets it again, with whatever cookie", async () => {
    const made = await shop();
    const perch = await running(made, long, {
      release: `    sticky: { whenWeightsChange: hold, onWeightZero: drain }`,
    });
    const old = Array.from({ length: 20 }, () => new Visitor());
    for (const visitor of old) await visitor.get(perch.origin);
    made.breakCanary();
    let failures = 0;
    for (let user = 0; user < 200 && (await phaseOf(perch)) !== "rolled-back"; user++) {
      if ((await new Visitor().get(perch.origin)).status === 500) failures++;
    }
    const { phase, why, checks } = await statusOf(perch);
    expect(phase).toBe("rolled-back");
    expect(failures).toBeLessThanOrEqual(10);
    expect(why).toMatch(/canary/);
    expect(checks.some(({ verdict }) => verdict === "fail")).toBe(true);
    const met = made.canary.seen.length;
    for (const visitor of old) expect((await visitor.get(perch.origin)).version).toBe("stable");
    expect(new Set(await visits(perch, 20))).toEqual(new Set(["stable"]));
    expect(made.canary.seen.length).toBe(met);
    expect(await perch.metric('perch_rollbacks_total{release="shop",reason="errors"}')).toBe(1);
    expect(await (await ask(perch, "resume")).json()).toMatchObject({ status: 409 });
  });

  it("counts what became of its notifications", async () => {
    const hook = await upstream(
      "hook",
      (_request, response) => void response.writeHead(hook.seen.length > 1 ? 404 : 204).end(),
    );
    const plan = long.replace("steps:", `notify: [{ url: "${hook.origin}" }], steps:`);
    const perch = await running(await shop(), plan);
    const counted = (result: string) => perch.metric(`perch_rollout_notifications_total{result="${result}"}`);
    await expect.poll(() => counted("delivered"), soon).toBe(1);
    expect([await counted("failed"), await counted("dropped")]).toEqual([0, 0]);
    await ask(perch, "pause");
    await expect.poll(() => counted("failed"), soon).toBe(1);
  });

  it("is moved by the API, with the revision that was seen", async () => {
    const perch = await running(await shop(), long);
    const { revision } = await statusOf(perch);
    const paused = await ask(perch, "pause", { "if-match": `"${revision}"` });
    expect([paused.status, await phaseOf(perch)]).toEqual([200, "paused"]);
    expect((await ask(perch, "step", { "if-match": `"${revision}"` })).status).toBe(412);
    expect((await ask(perch, "promote")).status).toBe(200);
    expect(new Set(await visits(perch, 10))).toEqual(new Set(["canary"]));
    expect((await ask(perch, "rollback")).status).toBe(200);
    expect(new Set(await visits(perch, 10))).toEqual(new Set(["stable"]));
    expect((await ask(perch, "pause", { authorization: "Bearer nobody's" })).status).toBe(401);
  });

  it("compares the share that is observed with the one in force", async () => {
    const perch = await running(await shop(), long);
    await visits(perch, 40);
    const [release] = ((await (await perch.admin("/api/releases")).json()) as { releases: unknown[] }).releases;
    expect(release).toMatchObject({ release: "shop" });
    expect(JSON.stringify(release)).toMatch(/"configuredShare":0\.5/);
  });
});

describe("the state of rollouts", () => {
  it("outlives the process", async () => {
    const made = await shop();
    const first = await running(made, long);
    await ask(first, "rollback");
    await first.stop();
    const second = await perchOn(made.file);
    expect(await phaseOf(second)).toBe("rolled-back");
    expect(new Set(await visits(second, 20))).toEqual(new Set(["stable"]));
  });

  it("belongs to one process: a second one does not start, and says why in one line", async () => {
    const made = await shop();
    await running(made, long);
    const second = await perchOn(made.file).catch((error: unknown) => error);
    expect(second).toBeInstanceOf(StartError);
    expect((second as StartError).problems).toEqual([
      expect.stringMatching(/^perch: process \d+ uses the state file .*state\.json: give each process/),
    ]);
  });

  it("is kept in the folder that the command line names, if the configuration names no file", async () => {
    const made = await shop();
    await renameOver(made.file, made.text(long).replace("state: { file: state.json }\n", ""));
    const stateDir = join(made.folder, "kept");
    const first = await perch("", { source: { kind: "file", path: made.file }, stateDir });
    await ask(first, "pause");
    expect(readFileSync(join(stateDir, "state.json"), "utf8")).toMatch(/"phase":"paused"/);
  });

  it("that is foreign stops no traffic: the rollout holds, and says so", async () => {
    const made = await shop();
    const state = join(made.folder, "state.json");
    writeFileSync(state, "a diary");
    const perch = await running(made, long);
    expect(new Set(await visits(perch, 20))).toEqual(new Set(["stable"]));
    const { phase, stateProblem } = await statusOf(perch);
    expect(phase).toBe("pending");
    expect(stateProblem).toMatch(/state\.json cannot be used and is left as it is/);
    expect((await ask(perch, "start")).status).toBe(503);
    expect(readFileSync(state, "utf8")).toBe("a diary");
    expect(await perch.metric("perch_state_last_save_successful")).toBe(0);
  });

  it("of a rollout that does not fit the configuration: it does not run, and the metrics say so", async () => {
    const made = await shop();
    const first = await running(made, long);
    expect(await first.metric('perch_rollout_runs{release="shop"}')).toBe(1);
    expect(await first.metric("perch_state_last_save_successful")).toBe(1);
    await first.stop();
    const second = await running(made, long, { canary: (await upstream("another")).origin });
    expect(await second.metric('perch_rollout_runs{release="shop"}')).toBe(0);
    expect(new Set(await visits(second, 20))).toEqual(new Set(["stable"]));
  });
});

describe("a reload while a rollout runs", () => {
  async function reloaded(next: (made: Shop) => string) {
    const made = await shop();
    const perch = await running(made, long);
    await renameOver(made.file, next(made));
    const done = async () => {
      const success = await perch.metric('perch_config_reloads_total{result="success"}');
      const failure = await perch.metric('perch_config_reloads_total{result="failure"}');
      return (success ?? 0) + (failure ?? 0);
    };
    await expect.poll(done, soon).toBe(1);
    return { perch, made };
  }

  it("that gives a known id another candidate is refused, with what to do", async () => {
    const { perch } = await reloaded((made) =>
      made.text(`{ id: "2", candidate: stable, baseline: canary, steps: [{ weight: 50, hold: 1h }] }`),
    );
    const { lastError } = (await (await perch.admin("/api/config")).json()) as { lastError: { text: string } };
    expect(lastError.text).toMatch(/releases\.shop: .*id/);
    expect(await statusOf(perch)).toMatchObject({ phase: "progressing", candidate: "canary" });
  });

  it("that gives a known id other endpoints is refused as well", async () => {
    const other = await upstream("other");
    const { perch } = await reloaded((made) => made.text(long, { canary: other.origin }));
    const { lastError } = (await (await perch.admin("/api/config")).json()) as { lastError: { text: string } };
    expect(lastError.text).toMatch(/endpoints.*id/);
  });

  it("that takes the rollout out ends it: the split holds at the next request", async () => {
    const { perch } = await reloaded((made) => made.text(""));
    expect((await perch.admin("/api/rollouts/shop")).status).toBe(404);
    expect(new Set(await visits(perch, 20))).toEqual(new Set(["stable"]));
    const last = perch.app.rollouts.eventsAfter(0).at(-1) as RolloutEvent;
    expect(last).toMatchObject({ type: "aborted", by: "configuration" });
  });

  it("obeys the file's own lever", async () => {
    const { perch, made } = await reloaded((each) => each.text(long.replace("{", "{ command: pause, ")));
    expect(await phaseOf(perch)).toBe("paused");
    await renameOver(made.file, made.text(long.replace("{", "{ command: rollback, ")));
    await expect.poll(() => phaseOf(perch), soon).toBe("rolled-back");
    expect(new Set(await visits(perch, 20))).toEqual(new Set(["stable"]));
  });
});
