import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createClient } from "@redis/client";
import { freeAfterTest } from "./freed.ts";
import { freePort } from "./upstream.ts";

/** Whether there is a Redis to test against. */
export const hasRedis = /^Redis server/.test(
  spawnSync("redis-server", ["--version"], { encoding: "utf8" }).stdout ?? "",
);

/** A real Redis on a free port of loopback, stopped after the test. It can be killed, started again and frozen. */
export class RedisServer {
  readonly port: number;
  readonly #options: readonly string[];
  #child: ChildProcess | undefined;

  private constructor(port: number, options: readonly string[]) {
    this.port = port;
    this.#options = options;
  }

  /** `options`: further ones of its command line. */
  static async start(...options: readonly string[]): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), options);
    freeAfterTest(() => server.kill());
    await server.start();
    return server;
  }

  /** The port speaks TLS only. */
  static async startTls(...options: readonly string[]): Promise<RedisServer> {
    const port = await freePort();
    const server = new RedisServer(port, [...options, "--port", "0", "--tls-port", String(port)]);
    freeAfterTest(() => server.kill());
    await server.start();
    return server;
  }

  /** On the port of before, without the data of before. */
  async start(): Promise<void> {
    const own = ["--bind", "127.0.0.1", "--port", String(this.port), "--save", "", "--appendonly", "no"];
    const child = spawn("redis-server", [...own, ...this.#options], { stdio: ["ignore", "pipe", "inherit"] });
    this.#child = child;
    let said = "";
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk;
      if (said.includes("Ready to accept connections")) resolve();
    });
    child.once("error", reject).once("exit", () => reject(new Error(`redis-server ended:\n${said}`)));
    await promise;
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    // A frozen process is killed as well.
    child.kill("SIGKILL");
    await exited;
  }

  /** It keeps its connections, and answers nothing. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  /** The answer to one command, on a connection of its own. */
  async ask(...command: readonly string[]): Promise<unknown> {
    const client = createClient({ RESP: 2, socket: { host: "127.0.0.1", port: this.port } });
    await client.connect();
    try {
      return await client.sendCommand([...command]);
    } finally {
      client.destroy();
    }
  }
}
