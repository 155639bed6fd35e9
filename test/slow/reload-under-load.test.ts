import { readdirSync, readlinkSync } from "node:fs";
import { Agent, createServer, get, request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { expect, it } from "vitest";
import { ConfigMapVolume } from "../kit/configmap-volume.ts";
import { listening } from "../kit/freed.ts";
import { freePorts, perchProcess, soon, temporaryFolder } from "../kit/served.ts";

const reloads = 200;
const clients = 16;

interface Tally {
  readonly answers: Map<string, number>;
  readonly failures: string[];
}

/** An upstream that never closes a connection, so that a leaked one stays open. */
async function patientUpstream(name: string): Promise<{ readonly origin: string }> {
  const server = createServer({ keepAliveTimeout: 0 }, (incoming, response) => {
    incoming.resume().on("end", () => response.writeHead(200, { "x-upstream": name }).end());
  });
  return { origin: `http://127.0.0.1:${await listening(server)}` };
}

/** Sequential requests on one connection, every second one a POST, which is not retried. */
async function load(origin: string, tally: Tally, isOver: () => boolean): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let i = 0; !isOver(); i++) {
    try {
      const answer = await sendOne(origin, agent, i % 2 === 0 ? undefined : `body ${i}`);
      tally.answers.set(answer, (tally.answers.get(answer) ?? 0) + 1);
    } catch (error) {
      tally.failures.push(String(error));
    }
  }
  agent.destroy();
}

function sendOne(origin: string, agent: Agent, body: string | undefined): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const method = body === undefined ? "GET" : "POST";
  const sent = request(origin, { agent, method }, (response) => {
    response.on("end", () => resolve(`${response.statusCode} ${response.headers["x-upstream"]}`)).on("error", reject);
    response.resume();
  });
  sent.on("error", reject).end(body);
  return promise;
}

/** Resources of a process: open descriptors by kind, and active resources by its metrics. */
async function holdings(pid: number, admin: string): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  const exposition = await metrics(admin);
  for (const [, type = "", count] of exposition.matchAll(/^nodejs_active_resources\{type="(\w+)"\} (\d+)$/gm)) {
    counts[type] = Number(count);
  }
  // By then Perch has closed the connection of this very request.
  await delay(100);
  for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
    const kind = kindOf(`/proc/${pid}/fd/${descriptor}`);
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

/** What it still holds once nothing has changed for more than a second: timers of the last requests have run by then. */
async function constantHoldings(pid: number, admin: string): Promise<Readonly<Record<string, number>>> {
  let last: Readonly<Record<string, number>> = {};
  let unchanged = 0;
  const readings = async (): Promise<number> => {
    const now = await holdings(pid, admin);
    unchanged = isDeepStrictEqual(now, last) ? unchanged + 1 : 0;
    last = now;
    return unchanged;
  };
  await expect.poll(readings, { timeout: 15_000, interval: 200 }).toBe(6);
  return last;
}

function kindOf(link: string): string {
  try {
    return readlinkSync(link).replace(/:?\[\d+\]$/, "");
  } catch {
    // Closed since the directory was read.
    return "closed";
  }
}

/** Over a new connection, which leaves nothing open. */
function metrics(admin: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  get(`${admin}/metrics`, { agent: false }, (response) => resolve(text(response))).on("error", reject);
  return promise;
}

it(`${reloads} reloads under load fail no request and leak nothing`, async () => {
  const [one, two] = [await patientUpstream("one"), await patientUpstream("two")];
  const unused = await patientUpstream("unused");
  const configs = {
    one: `
services: { shop: { versions: { stable: { endpoints: ["${one.origin}"] } } } }
routes: [{ name: all, service: shop }]
`,
    // Nearly everything differs: the endpoint, one more version, a release, rules, an attribute, routes.
    two: `
exposeVersion: true
attributes: { region: { type: string, from: [{ header: x-region }] } }
services:
  shop: { versions: { stable: { endpoints: ["${two.origin}"] }, canary: { endpoints: ["${two.origin}"] } } }
releases:
  shop:
    rules: [{ name: east, when: { region: east }, use: canary }]
    split: { stable: 50, canary: 50 }
routes:
  - { name: api, match: { path: { prefix: /api } }, service: shop }
  - { name: all, service: shop, release: shop }
`,
    // Has none of the endpoints before, so every upstream connection must close.
    none: `
services: { shop: { versions: { stable: { endpoints: ["${unused.origin}"] } } } }
routes: [{ name: all, service: shop }]
`,
  };
  const contents = (name: keyof typeof configs) => ({
    "perch.yaml": `${freePorts}accessLog: { sample: 0 }${configs[name]}`,
  });
  const volume = new ConfigMapVolume(join(await temporaryFolder(), "volume"), contents("none"));
  const perch = perchProcess(["serve", "-c", volume.path("perch.yaml")]);
  const { origin, admin } = await perch.serving();
  const pid = perch.child.pid ?? 0;
  const loads = () => perch.stderr.split('"msg":"configuration reloaded"').length - 1;
  const reload = async (name: keyof typeof configs) => {
    const before = loads();
    volume.update(contents(name));
    await expect.poll(loads, { ...soon, interval: 5 }).toBe(before + 1);
  };
  const session = async (times: number) => {
    const tally: Tally = { answers: new Map(), failures: [] };
    let isOver = false;
    await reload("one");
    const running = Array.from({ length: clients }, () => load(origin, tally, () => isOver));
    for (let i = 1; i < times; i++) await reload(i % 2 === 0 ? "one" : "two");
    isOver = true;
    await Promise.all(running);
    await reload("none");
    return tally;
  };

  // Resources created once, by the first requests and reloads, are no leak.
  await session(4);
  // Before the 30 s after which idle upstream connections close anyway.
  const settled = { timeout: 15_000, interval: 200 };
  await expect.poll(async () => (await holdings(pid, admin))["socket"], settled).toBeLessThan(10);
  const before = await constantHoldings(pid, admin);
  const tally = await session(reloads);
  await expect.poll(() => holdings(pid, admin), settled).toEqual(before);

  expect(tally.failures).toEqual([]);
  expect([...tally.answers.keys()].sort()).toEqual(["200 one", "200 two"]);
  expect(perch.stderr).not.toContain("configuration reload rejected");
  const total = [...tally.answers.values()].reduce((sum, count) => sum + count, 0);
  console.info(`${reloads} reloads, ${total} requests, none failed; it holds ${JSON.stringify(before)} as before`);
});
