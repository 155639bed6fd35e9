import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";
import { demo } from "../../src/cli/demo.ts";
import { freeAfterTest, rawClient, rawUpstream } from "../kit/freed.ts";
import { shopAt } from "../kit/one-service.ts";
import { freePorts, renameOver, servePerch, temporaryFolder } from "../kit/served.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const plainGet = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
/** The key and its accept are RFC 6455's example. */
const upgrade =
  "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const upgraded =
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

describe("a second Ctrl-C, a second after the first,", () => {
  it.each([
    { workers: 1, kind: "request" },
    { workers: 1, kind: "WebSocket" },
    { workers: 2, kind: "request" },
    { workers: 2, kind: "WebSocket" },
  ])("stops at once, with $workers worker(s) and an open $kind", async ({ workers, kind }) => {
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
    perch.process.signal("SIGINT");
    await perch.process.logged("waiting for 1 request, up to 10m; Ctrl-C again stops now");
    // The second itself is the case: there is no event to wait for.
    await new Promise((done) => setTimeout(done, 1_000));
    const sentMs = performance.now();
    perch.process.signal("SIGINT");
    expect(await perch.process.exited).toBe(1);
    expect(performance.now() - sentMs).toBeLessThan(3_000);
  });
});

describe("the end of npm, or of a shell around it, ends Perch", () => {
  const serve = (file: string) => `npm run -s perch -- serve -c ${file}`;
  it.each([
    { sentTo: "npm", signal: "SIGTERM", command: serve },
    { sentTo: "npm", signal: "SIGKILL", command: serve },
    { sentTo: "npm", signal: "SIGHUP", command: serve },
    { sentTo: "a shell around npm", signal: "SIGTERM", command: (file: string) => `true; ${serve(file)}; true` },
    { sentTo: "a shell around npm", signal: "SIGKILL", command: (file: string) => `true; ${serve(file)}; true` },
  ] as const)("$signal to $sentTo", async ({ sentTo, signal, command }) => {
    const file = `${await temporaryFolder()}/perch.yaml`;
    await renameOver(file, freePorts + shopAt("http://127.0.0.1:9"));
    // `exec` replaces the shell by npm, which then gets the signal itself.
    const started = spawn("sh", ["-c", sentTo === "npm" ? `exec ${command(file)}` : command(file)], {
      cwd: root,
      stdio: ["ignore", "ignore", "pipe"],
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
