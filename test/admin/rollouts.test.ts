import { once } from "node:events";
import { get } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import type { AdminView } from "../../src/admin/api.ts";
import type { AuditEntry } from "../../src/admin/rollouts.ts";
import { createAdminServer } from "../../src/admin/server.ts";
import { runCommand } from "../../src/cli/run.ts";
import type { RolloutEvent } from "../../src/rollout/rollout-state.ts";
import type {
  Change,
  ChangeAnswer,
  RolloutStatus,
  Rollouts,
  SplitAnswer,
  Verb,
} from "../../src/rollout/rollouts-api.ts";

const none = { users: 0, bad: 0 };
const totals = { baseline: { good: 0, failed: 0 }, candidate: { good: 0, failed: 0 } };

/** One rollout of `shop` that can be paused. */
class MemoryRollouts implements Rollouts {
  revision = 7;
  #paused = false;

  all = (): RolloutStatus[] => [this.#status()];
  of = (release: string) => (release === "shop" ? this.#status() : undefined);

  async change(release: string, verb: Verb, change: Change): Promise<ChangeAnswer> {
    if (release !== "shop") return { kind: "refused", cause: "no-rollout", message: "none" };
    if ((change.ifRevision ?? this.revision) !== this.revision) {
      return { kind: "refused", cause: "conflict", message: `The revision is ${this.revision}.` };
    }
    if (verb !== "pause") return { kind: "refused", cause: "wrong-phase", message: "It is not so far." };
    const changed = !this.#paused;
    this.#paused = true;
    if (changed) this.revision++;
    return { kind: "done", status: this.#status(), changed };
  }

  async setSplit(release: string, split: Record<string, number>, forMs: number | undefined): Promise<SplitAnswer> {
    const untilMs = forMs === undefined ? null : forMs;
    return { kind: "done", split: { release, split, untilMs, by: "x", why: "" }, revision: ++this.revision };
  }

  splits = () => [];
  eventsAfter = (id: number) => [1, 2, 3].filter((known) => known > id).map(event);
  subscribe = () => () => {};
  rollbacks = () => [];

  #status(): RolloutStatus {
    return {
      release: "shop",
      id: "1",
      baseline: "stable",
      candidate: "canary",
      phase: this.#paused ? "paused" : "progressing",
      why: "",
      sinceMs: 0,
      revision: this.revision,
      sentence: "Step 1 of 1: 10 % for 4 more minutes; no check fails. ".repeat(3),
      step: 1,
      steps: [{ title: "10 %", state: "current", weight: 10, holdMs: 0, heldMs: 0, atLeastUsers: 0 }],
      weight: 10,
      checks: [],
      users: { baseline: none, candidate: none },
      stepUsers: { baseline: 0, candidate: 0 },
      placed: totals,
      drawn: totals,
      startedAtMs: null,
      stateProblem: null,
    };
  }
}

function event(id: number): RolloutEvent {
  const where = { release: "shop", rollout: "1", phase: null, step: null, weight: null };
  return { id, atMs: 0, ...where, type: "step", by: "perch", why: "", evidence: [] };
}

const authorization = `Bearer ${"0123456789abcdef".repeat(2)}`;

function setup() {
  const audited: AuditEntry[] = [];
  const view: AdminView = {
    rollouts: new MemoryRollouts(),
    metrics: async () => ({ contentType: "text/plain", body: "" }),
    readiness: () => "ready",
    config: () => ({
      active: { file: undefined, hash: "", loadedAtMs: 0, warnings: [] },
      lastError: undefined,
      restartNeeded: [],
    }),
    releases: async () => [],
    endpoints: async () => [],
    explain: async () => ({ kind: "refused", message: "" }),
  };
  const server = createAdminServer(view, {
    listenHost: "127.0.0.1",
    access: () => ({ tokens: [Buffer.from(authorization.slice(7))], withoutToken: "probes-and-metrics" }),
    monotonicMs: () => 0,
    audit: (entry) => audited.push(entry),
    onFailure: (error) => {
      throw error;
    },
  });
  const post = (url: string, payload?: object, headers = {}) =>
    server.inject({ method: "POST", url, headers: { authorization, ...headers }, ...(payload && { payload }) });
  return { server, audited, post };
}

test("a verb changes once, then answers that nothing changed, and both are audited", async () => {
  const { post, audited } = setup();
  const first = await post("/api/rollouts/shop/pause", { why: "lunch", by: "alice" });
  const second = await post("/api/rollouts/shop/pause");
  expect([first.json().changed, second.json().changed, second.headers.etag]).toEqual([true, false, '"8"']);
  expect(first.json().rollout).toMatchObject({ since: "1970-01-01T00:00:00.000Z", startedAt: null });
  expect(audited.map(({ outcome }) => outcome)).toEqual(["done", "unchanged"]);
  expect(audited[0]?.who).toMatch(/^token [0-9a-f]{6} \(alice\)$/);
});

test.each([
  { path: "rollouts/shop/pause", headers: { "if-match": '"6"' }, payload: {}, status: 412, error: "conflict" },
  { path: "rollouts/shop/step", headers: {}, payload: {}, status: 409, error: "wrong-phase" },
  { path: "rollouts/blog/pause", headers: {}, payload: {}, status: 404, error: "no-rollout" },
  { path: "rollouts/shop/pause", headers: {}, payload: { what: 1 }, status: 400, error: "bad-request" },
  { path: "releases/shop/split", headers: {}, payload: { split: { a: 1 }, for: "x" }, status: 400, error: "invalid" },
])("$path is $status $error", async ({ path, headers, payload, status, error }) => {
  const answer = await setup().post(`/api/${path}`, payload, headers);
  expect(answer.headers["content-type"]).toContain("application/problem+json");
  expect(answer.json()).toMatchObject({ status, error });
});

test("a split is set for a while", async () => {
  const answer = await setup().post("/api/releases/shop/split", { split: { stable: 100 }, for: "1m" });
  expect(answer.json().split).toMatchObject({ split: { stable: 100 }, until: "1970-01-01T00:01:00.000Z" });
});

test("OpenAPI names every route", async () => {
  const { paths, openapi } = (await setup().server.inject("/api/openapi.json")).json();
  expect(openapi).toBe("3.1.0");
  expect(Object.keys(paths)).toEqual(expect.arrayContaining(["/api/config", "/api/events", "/api/openapi.json"]));
  expect(paths["/api/rollouts/{release}/pause"].post.requestBody).toBeDefined();
});

test("events resume after the last one known, and the command line shows the status", async () => {
  const { server } = setup();
  await server.listen({ host: "127.0.0.1", port: 0 });
  const origin = `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
  const [answer] = await once(get(`${origin}/api/events`, { headers: { "last-event-id": "2" } }), "response");
  let text = "";
  for await (const chunk of answer) {
    text += chunk;
    if (text.includes("data:")) break;
  }
  expect(text).toMatch(/^: events\n\nid: 3\nevent: step\ndata: \{.*\}\n\n$/);
  const written: string[] = [];
  const terminal = { out: (more: string) => void written.push(more), err: () => {}, env: {}, isInteractive: false };
  expect(await runCommand(["rollout", "status", "shop", "--admin", origin], terminal)).toBe(0);
  const out = written.join("");
  expect(out).toContain("[>] 10 %");
  expect(Math.max(...out.split("\n").map(({ length }) => length))).toBeLessThanOrEqual(80);
  await server.close();
});
