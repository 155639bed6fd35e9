import type { AddressInfo } from "node:net";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { AdminClient } from "../../../src/cli/rollout/admin-client.ts";
import { type Watching, watchRollouts } from "../../../src/cli/rollout/watch.ts";
import { type AdminSetup, adminOf, bearer, event, MemoryRollouts } from "../../admin/memory-rollouts.ts";
import { freeAfterTest } from "../../kit/freed.ts";
import { PerchProcess } from "../../kit/process.ts";

/** A Perch whose admin server can go and come back at the same port. */
class Served {
  readonly rollouts = new MemoryRollouts();
  readonly #setup: AdminSetup;
  #server = adminOf(this.rollouts).server;
  port = 0;

  constructor(setup: AdminSetup = {}) {
    this.#setup = setup;
  }

  async start(): Promise<void> {
    this.#server = adminOf(this.rollouts, this.#setup).server;
    await this.#server.listen({ host: "127.0.0.1", port: this.port });
    this.port = (this.#server.server.address() as AddressInfo).port;
  }

  stop = () => this.#server.close();
}

async function served(setup?: AdminSetup): Promise<Served> {
  const started = new Served(setup);
  await started.start();
  freeAfterTest(started.stop);
  return started;
}

const token = bearer.authorization.slice(7);

function watching(port: number, options: Partial<Watching> & { readonly rows?: number } = {}) {
  const stopped = new AbortController();
  const written = { out: "", err: "" };
  const terminal = {
    out: (text: string) => {
      written.out += text;
    },
    err: (text: string) => {
      written.err += text;
    },
    env: { NO_COLOR: "1" },
    isInteractive: options.format === "screen",
    rows: () => options.rows,
  };
  const client = new AdminClient(`http://127.0.0.1:${port}`, token);
  const ended = watchRollouts({
    ...{ client, release: undefined, terminal, format: "lines", signal: stopped.signal, backOffMs: 5, ...options },
  });
  const stop = async () => {
    stopped.abort();
    await ended;
  };
  return { written, stop, ended };
}

const followed = ({ rollouts }: Served) => expect.poll(() => rollouts.followers, { timeout: 10_000 });
const soon = { timeout: 10_000 };

describe("without a terminal", () => {
  test("prints one line an event, from now on", async () => {
    const perch = await served();
    const { written, stop } = watching(perch.port);
    await followed(perch).toBe(1);
    perch.rollouts.happens(
      event(4, { why: "10 % \u001b[2J\nnext" }),
      event(5, { release: "blog", rollout: null, step: null }),
    );
    await expect.poll(() => written.out, soon).toContain("blog");
    await stop();
    expect(written).toEqual({
      out:
        "1970-01-01 00:00:00Z shop 2.4.0, step, step 2, 10 %, by perch: 10 % \\u{1b}[2J\\u{a}next\n" +
        "1970-01-01 00:00:00Z blog step, 10 %, by perch: why of 5\n",
      err: "",
    });
  });

  test("prints the events of one release, and as JSON", async () => {
    const perch = await served();
    const { written, stop } = watching(perch.port, { release: "shop", format: "json" });
    await followed(perch).toBe(1);
    perch.rollouts.happens(event(4, { release: "blog" }), event(5, { why: "a\u009bb" }));
    await expect.poll(() => written.out, soon).toContain("\n");
    await stop();
    expect(written.out).toContain("a\\u009bb");
    expect(JSON.parse(written.out)).toMatchObject({ id: 5, why: "a\u009bb" });
  });

  test("goes on where it was after the connection is lost, and says both", async () => {
    const perch = await served();
    const { written, stop } = watching(perch.port);
    await followed(perch).toBe(1);
    await perch.stop();
    perch.rollouts.happens(event(4));
    await expect.poll(() => written.err, soon).toMatch(/trying again in 20 ms/);
    await perch.start();
    await followed(perch).toBe(1);
    perch.rollouts.happens(event(5));
    await expect.poll(() => written.out, soon).toMatch(/why of 4\n.*why of 5\n$/);
    await stop();
    expect(written.err).toMatch(/^perch rollout: connection lost: .*; trying again in 5 ms\n/);
    expect(written.err).toMatch(/; trying again in 10 ms\n(?:.*\n)*perch rollout: connected again\n$/);
  });

  test("says where events are missing", async () => {
    const perch = await served();
    const { written, stop } = watching(perch.port);
    await followed(perch).toBe(1);
    perch.rollouts.happens(event(9));
    await expect.poll(() => written.out, soon).toContain("why of 9");
    await stop();
    expect(written.err).toMatch(/events are missing/);
  });

  test("ends with an error when its token is not valid any more", async () => {
    let tokens = [token];
    const perch = await served({ heartbeatMs: 5, tokens: () => tokens });
    const { ended, written } = watching(perch.port);
    await followed(perch).toBe(1);
    tokens = ["f".repeat(32)];
    await expect(ended).rejects.toThrow(/token is not in admin\.tokenFile/);
    expect(written.err).toMatch(/it ended the connection; trying again/);
  });
});

describe("in a terminal", () => {
  test("redraws the status and the last events in place, at most 80 columns wide and as high as the window", async () => {
    const perch = await served();
    const { written, stop } = watching(perch.port, { format: "screen", rows: 24 });
    await followed(perch).toBe(1);
    perch.rollouts.status = { ...perch.rollouts.status, phase: "rolled-back", revision: 8 };
    perch.rollouts.happens(event(4, { type: "rolled-back", why: "many words ".repeat(20) }));
    await expect.poll(() => written.out, soon).toMatch(/rolled-back since/);
    await stop();
    const blocks = written.out.split("\u001b[?7l").slice(1);
    expect(blocks.length).toBeGreaterThanOrEqual(2);
    const heights = blocks.map((block) => block.split("\u001b[K\n").length - 1);
    for (const [at, block] of blocks.entries()) {
      const plain = stripVTControlCharacters(block).replaceAll("\r", "");
      for (const line of plain.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
      expect(heights[at]).toBeLessThanOrEqual(23);
      if (at > 0) expect(block.startsWith(`\u001b[${heights[at - 1]}A\r`)).toBe(true);
    }
    expect(blocks.at(-1)).toContain("rolled-back, step 2");
  });

  test("says that the connection is lost, and when it is tried again", async () => {
    const perch = await served();
    const { written, stop } = watching(perch.port, { format: "screen" });
    await followed(perch).toBe(1);
    await perch.stop();
    await expect.poll(() => written.out, soon).toMatch(/Connection lost, trying again in 5 ms: /);
    written.out = "";
    await perch.start();
    await expect.poll(() => written.out, soon).toMatch(/Ctrl-C stops\./);
    await stop();
    expect(written.err).toBe("");
  });
});

test.each(["SIGINT", "SIGTERM"] as const)("%s ends it quietly", async (signal) => {
  const perch = await served();
  const process = new PerchProcess(["rollout", "status", "--watch", "--admin", `http://127.0.0.1:${perch.port}`]);
  freeAfterTest(async () => void process.child.kill("SIGKILL"));
  await followed(perch).toBe(1);
  process.child.kill(signal);
  expect(await process.exited).toBe(0);
  expect([process.stdout, process.stderr]).toEqual(["", ""]);
});
