import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { Agent, request } from "undici";
import { describe, expect, test } from "vitest";
import { freeAfterTest } from "../kit/freed.ts";
import { type ProcessReplica, ReplicaSet, replicaStatus, rolloutAt } from "../kit/replicas.ts";
import { temporaryFolder } from "../kit/served.ts";

const steps = (...weights: number[]) => weights.map((weight) => `{ weight: ${weight}, hold: 3s }`).join(", ");
const plan = (...weights: number[]) => `{ id: "2", candidate: canary, steps: [${steps(...weights)}] }`;
const patient = { timeout: 60_000, interval: 100 };

/** Users who come to all replicas in turn, each with his own cookie, until it is stopped. */
class Load {
  /** Requests without a response, and those that Perch answered in place of a version. */
  lost: string[] = [];
  answered = 0;
  lastCanaryMs = 0;
  firstBadMs: number | undefined;
  #isStopped = false;
  readonly #running: Promise<unknown>;
  readonly #agent = new Agent({ connections: 50 });
  readonly #targets: Set<ProcessReplica>;

  constructor(replicas: readonly ProcessReplica[]) {
    this.#targets = new Set(replicas);
    this.#running = Promise.all(Array.from({ length: 4 }, (_, worker) => this.#run(worker)));
    freeAfterTest(() => this.stop());
  }

  /** From now on nobody comes to this replica; resolves once all who did have their answer. */
  async spare(replica: ProcessReplica): Promise<void> {
    this.#targets.delete(replica);
    await setTimeout(300);
  }

  bringBack(replica: ProcessReplica): void {
    this.#targets.add(replica);
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    await this.#running;
    await this.#agent.close();
  }

  async #run(worker: number): Promise<void> {
    const cookies = new Map<number, string>();
    for (let turn = 0; !this.#isStopped; turn++) {
      const targets = [...this.#targets];
      const target = targets[(turn + worker) % targets.length];
      // A third are regulars.
      const user = turn % 3 === 0 ? turn % 60 : -1;
      if (target !== undefined) await this.#visit(target, user, cookies);
      await setTimeout(4);
    }
  }

  async #visit(target: ProcessReplica, user: number, cookies: Map<number, string>): Promise<void> {
    const cookie = cookies.get(user);
    try {
      const headers = cookie === undefined ? {} : { cookie };
      const answer = await request(target.origin, { dispatcher: this.#agent, headers });
      await answer.body.dump();
      const version = answer.headers["x-upstream"];
      if (version === undefined) this.lost.push(`${answer.statusCode} of ${target.account}`);
      else this.answered++;
      const [set] = [answer.headers["set-cookie"]].flat();
      if (user >= 0 && set !== undefined) cookies.set(user, set.split(";", 1)[0] ?? "");
      if (version !== "canary") return;
      this.lastCanaryMs = performance.now();
      if (answer.statusCode === 500) this.firstBadMs ??= this.lastCanaryMs;
    } catch (error) {
      this.lost.push(`${String(error)} of ${target.account}`);
    }
  }
}

async function running(rollout: string, envOf: (account: string) => Readonly<Record<string, string>> = () => ({})) {
  const set = await ReplicaSet.start(rollout, []);
  const replicas = await Promise.all(
    ["a", "b", "c"].map((account) => set.addProcess(account, rollout, envOf(account))),
  );
  const load = new Load(replicas);
  const leader = async (among: readonly ProcessReplica[] = replicas) => {
    let found: ProcessReplica | undefined;
    await expect
      .poll(async () => {
        const statuses = await Promise.all(among.map(replicaStatus));
        found = among.find((_, at) => statuses[at]?.isLeading);
        return found !== undefined;
      }, patient)
      .toBe(true);
    if (found === undefined) throw new Error("no replica leads");
    return found;
  };
  return { set, replicas, load, leader };
}

/** Each step was begun once, in order, and the events are numbered without a gap. */
function expectOrderly(set: ReplicaSet, weights: readonly number[]): void {
  const { events } = set;
  expect(events.map(({ id }) => id)).toEqual(events.map((_, at) => at + 1));
  const begun = events.filter(({ type }) => type === "started" || type === "step").map(({ weight }) => weight);
  expect(begun).toEqual(weights);
}

async function completed(set: ReplicaSet, replicas: readonly ProcessReplica[]): Promise<void> {
  for (const replica of replicas) {
    await expect.poll(async () => (await rolloutAt(replica)).phase, patient).toBe("completed");
  }
  expect(set.events.at(-1)?.type).toBe("completed");
}

describe("three replicas under load", { timeout: 180_000 }, () => {
  test("a canary that breaks at step 2 is gone from all of them within 3 s, and no request is lost", async () => {
    const { set, replicas, load } = await running(
      `{ id: "2", candidate: canary, steps: [{ weight: 10, hold: 2s }, { weight: 30, hold: 1h }] }`,
    );
    for (const replica of replicas) await expect.poll(async () => (await rolloutAt(replica)).step, patient).toBe(2);
    set.canary.status = 500;
    for (const replica of replicas) {
      await expect.poll(async () => (await rolloutAt(replica)).phase, patient).toBe("rolled-back");
    }
    await setTimeout(2_000);
    await load.stop();
    const tookMs = load.lastCanaryMs - (load.firstBadMs ?? Number.NaN);
    console.log(
      `first bad answer to last request on the canary: ${Math.round(tookMs)} ms of ${load.answered} requests`,
    );
    expect(tookMs).toBeLessThanOrEqual(3_000);
    expect(load.lost).toEqual([]);
    expect(set.foreignWrites()).toBe(0);
  });

  test("the leader is killed: another goes on, and no step is skipped or taken twice", async () => {
    const weights = [10, 20, 30, 40, 50];
    const { set, replicas, load, leader } = await running(plan(...weights));
    const first = await leader();
    await expect.poll(async () => (await rolloutAt(first)).step, patient).toBeGreaterThanOrEqual(2);
    await load.spare(first);
    await first.process.stop();
    const rest = replicas.filter((each) => each !== first);
    await leader(rest);
    await completed(set, rest);
    await load.stop();
    expectOrderly(set, weights);
    expect(load.lost).toEqual([]);
    expect(set.foreignWrites()).toBe(0);
  });

  test("the leader is stopped for longer than its lease: once it goes on, it follows", async () => {
    const weights = [10, 20, 30, 40, 50, 60, 70];
    const { set, replicas, load, leader } = await running(plan(...weights));
    const first = await leader();
    await expect.poll(async () => (await rolloutAt(first)).step, patient).toBeGreaterThanOrEqual(2);
    await load.spare(first);
    first.process.signal("SIGSTOP");
    const rest = replicas.filter((each) => each !== first);
    const second = await leader(rest);
    const { step } = await rolloutAt(second);
    await setTimeout(3_000);
    first.process.signal("SIGCONT");
    load.bringBack(first);
    await expect.poll(async () => (await replicaStatus(first)).isLeading, patient).toBe(false);
    await expect.poll(async () => (await rolloutAt(first)).step, patient).toBeGreaterThanOrEqual(step);
    await completed(set, replicas);
    await load.stop();
    expectOrderly(set, weights);
    expect(load.lost).toEqual([]);
    expect(set.foreignWrites()).toBe(0);
  });

  test("the API is gone for 25 s: nothing moves, then it goes on where it was", async () => {
    const weights = [10, 20, 30];
    const { set, replicas, load, leader } = await running(plan(...weights));
    const first = await leader();
    await expect.poll(async () => (await rolloutAt(first)).step, patient).toBe(2);
    const before = set.events.length;
    set.api.away();
    await setTimeout(25_000);
    for (const replica of replicas) {
      expect(await replicaStatus(replica)).toMatchObject({ isLeading: false, problem: expect.any(String) });
      expect(await rolloutAt(replica)).toMatchObject({ step: 2, weight: 20 });
    }
    expect(set.events.length).toBe(before);
    await set.api.back();
    await completed(set, replicas);
    await load.stop();
    expectOrderly(set, weights);
    expect(load.lost).toEqual([]);
    expect(set.foreignWrites()).toBe(0);
  });

  test("the watches hang: the replicas follow what the leader tells them", async () => {
    const { set, replicas, load, leader } = await running(
      `{ id: "2", candidate: canary, steps: [{ weight: 50, hold: 1h }] }`,
    );
    await leader();
    for (const replica of replicas) await expect.poll(async () => (await rolloutAt(replica)).step, patient).toBe(1);
    set.api.stick();
    set.canary.status = 500;
    await expect.poll(() => set.events.at(-1)?.type, patient).toBe("rolled-back");
    await setTimeout(2_500);
    await load.stop();
    expect(load.lastCanaryMs - (load.firstBadMs ?? Number.NaN)).toBeLessThanOrEqual(3_000);
    expect(load.lost).toEqual([]);
  });

  test("one replica is cut off from the API, and one has a clock that is 10 s ahead", async () => {
    const weights = [10, 20, 30, 40];
    const ahead = join(await temporaryFolder(), "ahead.mjs");
    await writeFile(ahead, "const now = Date.now; Date.now = () => now() + 10_000;\n");
    const { set, replicas, load, leader } = await running(plan(...weights), (account) =>
      account === "b" ? { NODE_OPTIONS: `--import=${ahead}` } : {},
    );
    const first = await leader();
    await expect.poll(async () => (await rolloutAt(first)).step, patient).toBeGreaterThanOrEqual(1);
    set.api.cutOff(first.account);
    await leader(replicas.filter((each) => each !== first));
    await expect.poll(async () => (await replicaStatus(first)).isLeading, patient).toBe(false);
    set.api.letBack(first.account);
    await completed(set, replicas);
    await load.stop();
    expectOrderly(set, weights);
    expect(load.lost).toEqual([]);
    expect(set.foreignWrites()).toBe(0);
  });
});
