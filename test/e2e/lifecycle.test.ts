/** @module-tag slow */
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { perch } from "../cli/captured-terminal.ts";
import { freeAfterTest, rawClient, rawUpstream, upstream } from "../kit/freed.ts";
import { shopAt } from "../kit/one-service.ts";
import { PerchProcess } from "../kit/process.ts";
import { portClosed } from "../kit/raw-client.ts";
import { freePorts, perchProcess, renameOver, servePerch, temporaryFolder } from "../kit/served.ts";
import { eachAtOnce, User } from "../kit/user.ts";

const plainGet = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const ended = (received: string) => received.endsWith("\r\n0\r\n\r\n");

/** An upstream that does not answer until the test calls `answer`. */
async function hesitant() {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const started = await rawUpstream((_socket, received) => {
    if (received.endsWith("\r\n\r\n")) resolve();
  });
  const answer = () => started.sockets[0]?.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
  return { origin: started.origin, asked, answer };
}

const slow = { tags: ["slow"] };

describe("a signal to stop", () => {
  it("makes Perch unready at once, while requests are served with Connection: close", slow, async () => {
    const stable = await upstream("stable");
    const perch = await servePerch(shopAt(stable.origin), ["--drain-delay", "2s"]);
    expect((await perch.admin("/readyz")).status).toBe(200);
    const before = await rawClient(perch.port);
    before.send(plainGet);
    expect(await before.read(ended)).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\nConnection: keep-alive\r\n/);

    perch.process.signal("SIGTERM");
    await perch.process.logged("draining");
    const readiness = await perch.admin("/readyz");
    expect([readiness.status, await readiness.text()]).toEqual([503, "not ready: draining\n"]);
    expect((await perch.admin("/livez")).status).toBe(200);
    before.received = "";
    before.send(plainGet);
    const after = await rawClient(perch.port);
    after.send(plainGet);
    // Both reads end with the connection, which Perch closes after the response.
    for (const answered of [before, after]) {
      expect(await answered.read()).toMatch(
        /^HTTP\/1\.1 200 [\s\S]*\r\nConnection: close\r\n[\s\S]*\r\nhello from stable\n\r\n0\r\n\r\n$/,
      );
    }
    expect(await perch.process.exited).toBe(0);
    expect(
      perch.process.stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).status),
    ).toEqual([200, 200, 200]);
  });

  it("fails no request under steady load, from clients that honour Connection: close", slow, async () => {
    const stable = await upstream("stable");
    const perch = await servePerch(shopAt(stable.origin), ["--drain-delay", "1s"]);
    let answered = 0;
    const statuses = new Set<number | undefined>();
    const untilClosed = async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (;;) {
        const { status, connection } = await get(perch.origin, agent);
        statuses.add(status);
        if (++answered === 200) perch.process.signal("SIGTERM");
        if (connection === "close") return;
      }
    };
    await Promise.all(Array.from({ length: 16 }, untilClosed));
    expect(answered).toBeGreaterThan(200);
    expect([...statuses]).toEqual([200]);
    expect(await perch.process.exited).toBe(0);
  });

  for (const [signal, options] of [
    ["SIGTERM", {}],
    ["SIGINT", slow],
  ] as const)
    it(`${signal} lets a request in flight finish, and accepts no other`, options, async () => {
      const held = await hesitant();
      const perch = await servePerch(shopAt(held.origin));
      const waiting = await rawClient(perch.port);
      waiting.send(plainGet);
      await held.asked;
      const idle = await rawClient(perch.port);
      perch.process.signal(signal);
      expect(await idle.read()).toBe("");
      await portClosed(perch.port);
      held.answer();
      expect(await waiting.read()).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\nConnection: close\r\n[\s\S]*late$/);
      expect(await perch.process.exited).toBe(0);
    });

  it("aborts requests at the drain timeout, with exit code 0", { tags: ["slow"] }, async () => {
    const held = await hesitant();
    const perch = await servePerch(shopAt(held.origin), ["--drain-timeout", "100ms"]);
    const waiting = await rawClient(perch.port);
    waiting.send(plainGet);
    await held.asked;
    perch.process.signal("SIGTERM");
    expect(await waiting.read()).toBe("");
    expect(await perch.process.exited).toBe(0);
    expect(perch.process.stderr).toContain("drain timeout: aborting requests in flight");
    expect(JSON.parse(perch.process.stdout)).toMatchObject({ status: 499, error: "client-closed", attempts: 1 });
  });

  for (const [signal, options] of [
    ["SIGINT", {}],
    ["SIGTERM", slow],
  ] as const)
    it(`a second ${signal} stops at once, also later in the drain`, options, async () => {
      const held = await hesitant();
      const perch = await servePerch(shopAt(held.origin), ["--drain-timeout", "10m"]);
      const waiting = await rawClient(perch.port);
      waiting.send(plainGet);
      await held.asked;
      perch.process.signal(signal);
      const awaited = await perch.process.logged("waiting for 1 request, up to 10m; Ctrl-C again stops now");
      expect(awaited).toMatchObject({ requests: 1, drainTimeoutMs: 600_000 });
      // Two of SIGTERM within a quarter of a second count as one. A third would end a process that handles none any more.
      const second = setTimeout(() => perch.process.signal(signal), 300);
      expect(await perch.process.exited.finally(() => clearTimeout(second))).toBe(1);
    });

  it("a second SIGINT during --drain-delay stops at once", slow, async () => {
    const perch = await servePerch(shopAt("http://127.0.0.1:9"), ["--drain-delay", "10m"]);
    perch.process.signal("SIGINT");
    await perch.process.logged("draining");
    perch.process.signal("SIGINT");
    expect(await perch.process.exited).toBe(1);
  });
});

describe("starting", () => {
  it("reads the configuration of PERCH_CONFIG, and SIGHUP forces a reload check", async () => {
    const stable = await upstream("stable");
    const file = join(await temporaryFolder(), "perch.yaml");
    await renameOver(file, freePorts + shopAt(stable.origin));
    const perch = perchProcess(["serve"], { PERCH_CONFIG: file });
    const { origin, admin } = await perch.serving();
    expect(await (await fetch(origin)).text()).toBe("hello from stable\n");
    const refusals = async () =>
      /^perch_config_reloads_total\{result="failure"\} (\d+)$/m.exec(
        await (await fetch(`${admin}/metrics`)).text(),
      )?.[1];

    // The watcher reads an unchanged file once; the second reload is the signal's.
    await renameOver(file, "routes: 1\n");
    await expect.poll(refusals, { timeout: 10_000 }).toBe("1");
    perch.signal("SIGHUP");
    await expect.poll(refusals, { timeout: 10_000 }).toBe("2");
    expect(await (await fetch(origin)).text()).toBe("hello from stable\n");
  });

  it("needs no file: --to, --canary and --weight split users, who stay on their version", async () => {
    const stable = await upstream("stable", (_, response) => response.writeHead(200, { "x-version": "stable" }).end());
    const canary = await upstream("canary", (_, response) => response.writeHead(200, { "x-version": "canary" }).end());
    const anyPort = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    const to = ["--to", stable.origin, "--canary", canary.origin, "--weight", "10"];
    const { origin } = await perchProcess(["serve", ...to, ...anyPort]).serving();
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    freeAfterTest(async () => agent.destroy());
    const users = Array.from({ length: 500 }, () => new User());
    const seen = new Map<User, Set<string>>(users.map((user) => [user, new Set()]));
    for (let round = 0; round < 3; round++) {
      await eachAtOnce(users, 8, async (user) => {
        seen.get(user)?.add((await user.get(origin, agent)).version);
      });
    }
    expect([...seen.values()].filter(({ size }) => size !== 1)).toEqual([]);
    const onCanary = [...seen.values()].filter((versions) => versions.has("canary")).length;
    // Four standard deviations around 50 of 500.
    expect(onCanary).toBeGreaterThan(23);
    expect(onCanary).toBeLessThan(77);
  });
});

/** Whether port 1 needs a permission; containers often lower the first unprivileged port to 0. */
const portsAreGuarded = () =>
  process.getuid?.() !== 0 && Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8")) > 1;

describe("a failed start has its reason on stderr only, and exit code 2", () => {
  const refusedConfig = async (yaml: string) => {
    const file = join(await temporaryFolder(), "perch.yaml");
    await renameOver(file, yaml);
    return { file, ...(await perch(["serve", "-c", file])) };
  };

  it("as a process", async () => {
    const started = new PerchProcess(["serve", "-c", "/absent.yaml"]);
    expect(await started.exited).toBe(2);
    expect([started.stdout, started.stderr]).toEqual(["", expect.stringMatching(/^[^\n]*absent\.yaml[^\n]*\n$/)]);
  });

  it("a port in use", async () => {
    const { port, origin } = await upstream("taken");
    const yaml = `listeners: [{ name: web, address: "127.0.0.1:${port}" }]\nadmin: { address: "127.0.0.1:0" }\n`;
    const { file: _, ...found } = await refusedConfig(yaml + shopAt(origin));
    const hint = "the port is in use (EADDRINUSE); stop the other process or choose another port";
    const err = `perch: listener "web" cannot listen on 127.0.0.1:${port}: ${hint}\n`;
    expect(found).toEqual({ code: 2, out: "", err });
  });

  it("an admin port in use", async () => {
    const { port, origin } = await upstream("taken");
    const yaml = `listeners: [{ name: web, address: "127.0.0.1:0" }]\nadmin: { address: "127.0.0.1:${port}" }\n`;
    const { code, err } = await refusedConfig(yaml + shopAt(origin));
    expect(code).toBe(2);
    expect(err).toMatch(/^perch: admin server cannot listen on 127\.0\.0\.1:\d+: the port is in use [^\n]+\n$/);
  });

  it.runIf(portsAreGuarded())("a port without the permission", async () => {
    const yaml = `listeners: [{ name: web, address: "127.0.0.1:1" }]\nadmin: { address: "127.0.0.1:0" }\n`;
    const { code, out, err } = await refusedConfig(yaml + shopAt("http://127.0.0.1:9"));
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(/^perch: listener "web" cannot listen on 127\.0\.0\.1:1: permission denied [^\n]+\n$/);
  });

  it("an invalid configuration, with every problem, its position and a caret", async () => {
    const { file, code, out, err } = await refusedConfig(`${shopAt("http://127.0.0.1:9")}nonsense: 1\nworkers: x\n`);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain(`${file}:4:1: error: unknown key "nonsense"`);
    expect(err).toContain(`${file}:5:10: error: `);
    expect(err).toContain("4 | nonsense: 1\n");
    expect(err.match(/^ +\| +\^+$/gm)?.length).toBe(2);
  });

  it("an unknown flag", async () => {
    const { code, out, err } = await perch(["serve", "--confg", "perch.yaml"]);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(/^perch serve: Unknown option '--confg'[^\n]*\nSee perch serve --help\.\n$/);
  });
});

interface Answered {
  readonly status: number | undefined;
  readonly connection: string | undefined;
}

function get(origin: string, agent: Agent): Promise<Answered> {
  const { promise, resolve, reject } = Promise.withResolvers<Answered>();
  const sent = request(origin, { agent }, (response) => {
    const { statusCode: status, headers } = response;
    response.on("end", () => resolve({ status, connection: headers.connection })).on("error", reject);
    response.resume();
  });
  sent.on("error", reject).end();
  return promise;
}
