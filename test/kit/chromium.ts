import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import { freeAfterTest } from "./freed.ts";

/** The first of the usual program names that starts; undefined without one. */
export function findChromium(): string | undefined {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  return names.find((name) => spawnSync(name, ["--version"], { stdio: "ignore", timeout: 20_000 }).status === 0);
}

const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
  "--remote-debugging-port=0",
];

interface Reply {
  readonly id?: number;
  readonly result?: Readonly<Record<string, string>>;
  readonly error?: { readonly message: string };
}

/** A real browser, controlled over its debugging protocol; it and its new profile are removed after the test. */
export class Chromium {
  readonly #socket: WebSocket;
  readonly #pending = new Map<number, (reply: Reply) => void>();
  #count = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (text) => {
      const reply = JSON.parse(String(text)) as Reply;
      if (reply.id !== undefined) this.#pending.get(reply.id)?.(reply);
    });
  }

  static async start(program: string): Promise<Chromium> {
    const profile = await mkdtemp(join(tmpdir(), "perch-chromium-"));
    const child = spawn(program, [...flags, `--user-data-dir=${profile}`], { stdio: ["ignore", "ignore", "pipe"] });
    const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    freeAfterTest(async () => {
      child.kill("SIGKILL");
      await exited;
      await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    });
    const socket = new WebSocket(await debuggingAddress(child));
    await new Promise<void>((resolve, reject) => socket.once("open", resolve).once("error", reject));
    return new Chromium(socket);
  }

  /** A page in its own context, without cookies and cache of others; it sends these headers with every request. */
  async open(url: string, headers: Readonly<Record<string, string>>): Promise<ChromiumPage> {
    const { browserContextId = "" } = await this.send("Target.createBrowserContext", {});
    const { targetId = "" } = await this.send("Target.createTarget", { url: "about:blank", browserContextId });
    const { sessionId = "" } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    await this.send("Network.enable", {}, sessionId);
    await this.send("Network.setExtraHTTPHeaders", { headers }, sessionId);
    const page = {
      goTo: async (address: string) => void (await this.send("Page.navigate", { url: address }, sessionId)),
      run: async (expression: string) => void (await this.send("Runtime.evaluate", { expression }, sessionId)),
      close: async () => void (await this.send("Target.disposeBrowserContext", { browserContextId })),
    };
    await page.goTo(url);
    return page;
  }

  async send(method: string, params: object, sessionId?: string): Promise<NonNullable<Reply["result"]>> {
    const id = ++this.#count;
    const { promise, resolve } = Promise.withResolvers<Reply>();
    this.#pending.set(id, resolve);
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    const { result, error } = await promise;
    this.#pending.delete(id);
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }
}

export interface ChromiumPage {
  goTo(url: string): Promise<void>;
  /** Runs a script in the page. */
  run(expression: string): Promise<void>;
  close(): Promise<void>;
}

/** The address that it writes to stderr. */
function debuggingAddress(child: ChildProcess): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let printed = "";
  child.stderr?.on("data", (text: Buffer) => {
    printed += text;
    const [address] = /ws:\/\/\S+/.exec(printed) ?? [];
    if (address !== undefined) resolve(address);
  });
  child.once("error", reject);
  child.once("exit", () => reject(new Error(`Chromium ended:\n${printed}`)));
  return promise;
}
