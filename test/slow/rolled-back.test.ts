import { writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { freeAfterTest, upstream } from "../kit/freed.ts";
import { perchOn, temporaryFolder } from "../kit/served.ts";
import { User } from "../kit/user.ts";

const token = "a-token-of-more-than-thirty-two-bytes";
const connections = 16;

/** A shop on two workers, whose canary can be broken. */
async function shop(sticky: string) {
  let status = 200;
  const version = (name: string) =>
    upstream(name, (_request, response) => {
      response.writeHead(name === "canary" ? status : 200, { "x-version": name }).end();
    });
  const [stable, canary] = [await version("stable"), await version("canary")];
  const folder = await temporaryFolder();
  const file = join(folder, "perch.yaml");
  writeFileSync(join(folder, "tokens"), token);
  writeFileSync(
    file,
    `
workers: 2
listeners: [{ name: web, address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0", tokenFile: tokens }
state: { file: state.json }
attributes:
  region: { type: string, from: [{ header: x-region }] }
  plan: { type: string, from: [{ header: x-plan }] }
services:
  shop:
    default: stable
    versions: { stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${canary.origin}"] } }
releases:
  shop:
    sticky: ${sticky}
    rules:
      - { name: east, when: { region: cn-east }, use: canary }
      - { name: gold, when: { plan: gold }, use: rollout }
    split: { stable: 100, canary: 0 }
    rollout:
      id: "2"
      candidate: canary
      steps:
        - { when: { region: eu-west }, weight: 80, hold: 1s }
        - { weight: 50, hold: 1h }
routes: [{ name: all, service: shop, release: shop }]
`,
  );
  const perch = await perchOn(file);
  const breakCanary = () => {
    status = 500;
  };
  return { perch, breakCanary };
}

type Perch = Awaited<ReturnType<typeof shop>>["perch"];

/** Users of every kind who come back again and again, on connections that stay open, until `end`. */
function crowd(perch: Perch) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  freeAfterTest(async () => agent.destroy());
  const headers = [{}, { "x-region": "cn-east" }, { "x-region": "eu-west" }, { "x-plan": "gold" }];
  const sent: { readonly atMs: number; readonly version: string }[] = [];
  let ended = false;
  const visit = async (from: number) => {
    // A user sends the facts first, then only the cookie; one in four is new.
    const users = Array.from({ length: 12 }, () => new User());
    for (let at = from; !ended; at++) {
      const facts = headers[at % headers.length] ?? {};
      const user = at % 4 === 0 ? new User(facts) : (users[at % users.length] ?? new User());
      if (at % 4 === 0) users[at % users.length] = user;
      const atMs = performance.now();
      const { version } = await user.get(perch.origin, agent);
      sent.push({ atMs, version });
      users[at % users.length] = withoutFacts(user);
    }
  };
  const done = Promise.all(Array.from({ length: connections }, (_, at) => visit(at)));
  return {
    sent,
    async end() {
      ended = true;
      await done;
    },
  };
}

/** The same user, who from now on sends only the cookie. */
function withoutFacts(user: User): User {
  return Object.assign(user, { headers: {} });
}

const whoMetCanary = (sent: readonly { atMs: number; version: string }[], sinceMs: number) =>
  sent.filter(({ atMs, version }) => atMs >= sinceMs && version === "canary").length;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const modes = [
  "{ whenWeightsChange: follow }",
  "{ whenWeightsChange: hold, onWeightZero: evict }",
  "{ whenWeightsChange: hold, onWeightZero: drain }",
  "{ assets: follow-document, fetches: follow-document, assetPaths: [/assets] }",
];

describe("rolled back means nobody, with two workers under load", () => {
  it.each(modes)("%s: no request sent after the answer to a rollback meets the canary", async (sticky) => {
    const { perch } = await shop(sticky);
    const load = crowd(perch);
    await pause(2_500);
    const answer = await fetch(`${perch.adminOrigin}/api/rollouts/shop/rollback`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: `{"why":"the test asks"}`,
    });
    const sinceMs = performance.now();
    expect(answer.status).toBe(200);
    await pause(1_500);
    await load.end();
    const { sent } = load;
    const before = sent.filter(({ atMs }) => atMs < sinceMs);
    const after = sent.filter(({ atMs }) => atMs >= sinceMs);
    expect(whoMetCanary(before, 0)).toBeGreaterThan(100);
    expect(after.length).toBeGreaterThan(300);
    expect(whoMetCanary(sent, sinceMs)).toBe(0);
  });

  it("a canary that breaks is gone within a second, and for good", async () => {
    const { perch, breakCanary } = await shop(modes[2] ?? "");
    const load = crowd(perch);
    await pause(2_500);
    const { promise, resolve } = Promise.withResolvers<number>();
    perch.app.rollouts.subscribe(({ type }) => {
      if (type === "rolled-back") resolve(performance.now());
    });
    breakCanary();
    const brokenMs = performance.now();
    const rolledBackMs = await promise;
    expect(rolledBackMs - brokenMs).toBeLessThan(1_000);
    await pause(1_500);
    await load.end();
    // The workers have heard of it by then.
    expect(whoMetCanary(load.sent, rolledBackMs + 100)).toBe(0);
  });
});
