import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";
import { demo } from "../../src/cli/demo.ts";
import { freeAfterTest, rawClient, rawUpstream } from "../kit/freed.ts";
import { shopAt } from "../kit/one-service.ts";
import type { PerchProcess } from "../kit/process.ts";
import { freePorts, perchProcess, renameOver, servePerch, temporaryFolder } from "../kit/served.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const plainGet = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
/** The key and its accept are RFC 6455's example. */
const upgrade =
  "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const upgraded =
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/** What a user takes for "at once", and some time for the end of a process. */
const atOnceMs = 500 + 300;

// A busy machine may hold up a process for longer, hence the further attempts.
describe("a second signal", { retry: 2 }, () => {
  it.each([
    { workers: 1, kind: "request", first: "SIGINT", pauseMs: 300 },
    { workers: 1, kind: "WebSocket", first: "SIGINT", pauseMs: 3_000 },
    { workers: 2, kind: "request", first: "SIGINT", pauseMs: 3_000 },
    { workers: 2, kind: "WebSocket", first: "SIGINT", pauseMs: 300 },
    { workers: 1, kind: "request", first: "SIGTERM", pauseMs: 300 },
    { workers: 2, kind: "request", first: "SIGTERM", pauseMs: 300 },
  ] as const)(
    "$pauseMs ms after $first stops at once, with $workers worker(s) and an open $kind",
    async ({ workers, kind, first, pauseMs }) => {
      const { promise: asked, resolve } = Promise.withResolvers<void>();
      const { origin } = await rawUpstream((socket, received) => {
        if (!received.endsWith("\r\n\r\n")) return;
        if (kind === "WebSocket") socket.write(upgraded);
        resolve();
      });
      const perch = await servePerch(shopAt(origin, `workers: ${workers}`), ["--drain-timeout", "10m"]);
      const client = await rawClient(perch.port);
      client.send(kind === "WebSocket" ? upgrade : plainGet);
      await asked;
      if (kind === "WebSocket") await client.read((received) => received.endsWith("\r\n\r\n"));
      perch.process.signal(first);
      await perch.process.logged("waiting for 1 request, up to 10m; Ctrl-C again stops now");
      expect(await exitAfter(perch.process, pauseMs)).toEqual({ code: 1, atOnce: true });
    },
  );

  it.each([1, 2])("stops at once while nothing is open, with %i worker(s)", async (workers) => {
    const options = ["--drain-delay", "10m", "--drain-timeout", "10m"];
    const perch = await servePerch(shopAt("http://127.0.0.1:9", `workers: ${workers}`), options);
    perch.process.signal("SIGINT");
    await perch.process.logged("draining");
    expect(await exitAfter(perch.process, 300)).toEqual({ code: 1, atOnce: true });
  });

  it("stops at once while nobody reads the access log", async () => {
    const { origin } = await rawUpstream((socket, received) => {
      if (received.endsWith("\r\n\r\n")) socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    const perch = await servePerch(shopAt(origin), ["--drain-delay", "10m"]);
    perch.process.child.stdout?.pause();
    // More lines than a pipe holds (64 KiB) and than the paused stream buffers.
    const path = `${perch.origin}/${"a".repeat(2_000)}`;
    for (let sent = 0; sent < 200; sent++) await (await fetch(path)).text();
    perch.process.signal("SIGINT");
    await perch.process.logged("draining");
    const exit = once(perch.process.child, "exit");
    await new Promise((done) => setTimeout(done, 300));
    const sentMs = performance.now();
    perch.process.signal("SIGINT");
    expect(await exit).toEqual([1, null]);
    expect(performance.now() - sentMs).toBeLessThan(atOnceMs);
    perch.process.child.stdout?.resume();
  });
});

/** Sends SIGINT after a pause: the pause is the case, there is no event to wait for. */
async function exitAfter(perch: PerchProcess, pauseMs: number) {
  await new Promise((done) => setTimeout(done, pauseMs));
  const sentMs = performance.now();
  perch.signal("SIGINT");
  const code = await perch.exited;
  return { code, atOnce: performance.now() - sentMs < atOnceMs };
}

describe("the end of npm, or of a shell around it, ends Perch", () => {
  const serve = (file: string) => `npm run -s perch -- serve -c ${file}`;
  it.each([
    { sentTo: "npm", signal: "SIGTERM", command: serve },
    { sentTo: "npm", signal: "SIGKILL", command: serve },
    { sentTo: "npm", signal: "SIGHUP", command: serve },
    { sentTo: "npm of nohup", signal: "SIGKILL", command: serve, _: "/usr/bin/nohup" },
    { sentTo: "npm of setsid", signal: "SIGHUP", command: serve, _: "/usr/bin/setsid" },
    { sentTo: "a shell around npm", signal: "SIGTERM", command: (file: string) => `true; ${serve(file)}; true` },
    { sentTo: "a shell around npm", signal: "SIGKILL", command: (file: string) => `true; ${serve(file)}; true` },
  ] as const)("$signal to $sentTo", async ({ sentTo, signal, command, ...shell }) => {
    const file = `${await temporaryFolder()}/perch.yaml`;
    await renameOver(file, freePorts + shopAt("http://127.0.0.1:9"));
    // `exec` replaces the shell by npm, which then gets the signal itself.
    const started = spawn("sh", ["-c", sentTo.startsWith("npm") ? `exec ${command(file)}` : command(file)], {
      cwd: root,
      stdio: ["ignore", "ignore", "pipe"],
      // How npm was started: bash and zsh set it, other shells do not.
      env: { ...process.env, _: undefined, ...shell },
    });
    const log = logOf(started);
    await log.holds('"msg":"serving"');
    started.kill(signal);
    await log.ended;
    expect(log.text()).toContain('"why":"npm, or a shell around it, has ended"');
    expect(log.text()).toContain('"msg":"drained"');
  });

  it.each([
    {
      what: "a script that started npm in the background ends",
      command: (file: string) => `${serve(file)} & read -r line`,
      act: (started: ChildProcess) => started.stdin?.end(),
    },
    {
      what: "the terminal of nohup closes, which ends npm",
      command: (file: string) => `exec nohup ${serve(file)}`,
      act: ({ pid = 0 }: ChildProcess) => process.kill(-pid, "SIGHUP"),
    },
  ])("but Perch stays where $what", async ({ command, act }) => {
    const file = `${await temporaryFolder()}/perch.yaml`;
    await renameOver(file, freePorts + shopAt("http://127.0.0.1:9"));
    const started = spawn("sh", ["-c", command(file)], {
      cwd: root,
      stdio: ["pipe", "ignore", "pipe"],
      detached: true,
      // As bash and zsh set it; other shells do not.
      env: { ...process.env, ...(command(file).includes("nohup") ? { _: "/usr/bin/nohup" } : {}) },
    });
    freeAfterTest(async () => {
      process.kill(-(started.pid ?? 0), "SIGTERM");
      await log.ended;
    });
    const log = logOf(started);
    await log.holds('"msg":"serving"');
    const exited = once(started, "exit");
    act(started);
    await exited;
    // Longer than Perch takes to notice. That nothing happens is no event.
    await new Promise((done) => setTimeout(done, 1_200));
    expect(log.text()).not.toContain('"msg":"draining"');
    const admin = /"admin":"([^"]+)"/.exec(log.text())?.[1];
    expect((await fetch(`http://${admin}/readyz`)).status).toBe(200);
  });

  it("the demo also ends on SIGHUP", async () => {
    const args = ["src/cli/main.ts", "demo", "--users", "10"];
    const started = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    freeAfterTest(async () => started.kill("SIGKILL"));
    await once(started.stdout, "data");
    const exited = once(started, "exit");
    started.kill("SIGHUP");
    expect(await exited).toEqual([0, null]);
  });
});

describe("a second Ctrl-C in the demo", () => {
  it("stops it at once", async () => {
    const exit = vi.spyOn(process, "exit").mockReturnValue(undefined as never);
    freeAfterTest(async () => exit.mockRestore());
    const { promise: started, resolve: err } = Promise.withResolvers<unknown>();
    const ended = demo.run(
      { options: { users: "10" }, positionals: [] },
      { out: () => {}, err, env: {}, isInteractive: false },
    );
    await started;
    process.emit("SIGINT");
    expect(exit).not.toHaveBeenCalled();
    process.emit("SIGINT");
    expect(exit).toHaveBeenCalledWith(1);
    await ended;
  });

  it("300 ms after the first finds nothing left to stop, or stops it", async () => {
    const perch = perchProcess(["demo", "--users", "10"]);
    await once(perch.child.stdout ?? perch.child, "data");
    perch.signal("SIGINT");
    expect(await exitAfter(perch, 300)).toMatchObject({ atOnce: true });
  });
});

/** Perch's own log, which is open until Perch itself has ended. */
function logOf({ stderr }: ChildProcess) {
  if (stderr === null) throw new TypeError("stderr is not a pipe");
  let text = "";
  let look = () => {};
  stderr.setEncoding("utf8").on("data", (more: string) => {
    text += more;
    look();
  });
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  stderr.once("close", () => resolve());
  const holds = (wanted: string) => {
    const { promise, resolve: found } = Promise.withResolvers<void>();
    look = () => {
      if (text.includes(wanted)) found();
    };
    look();
    return promise;
  };
  return { text: () => text, ended, holds };
}
