import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, vi } from "vitest";
import { freeAfterTest } from "./freed.ts";
import { temporaryFolder } from "./served.ts";

export const prometheusIsMissing = spawnSync("prometheus", ["--version"]).error !== undefined;

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  /** The time, and the value as text. */
  readonly value: readonly [number, string];
}

export interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly state: "pending" | "firing";
}

/** A real Prometheus that scrapes one target every second. */
export class Prometheus {
  readonly origin: string;

  private constructor(origin: string) {
    this.origin = origin;
  }

  static async start(target: string, rules: string): Promise<Prometheus> {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "rules.yaml"), rules);
    await writeFile(
      join(folder, "prometheus.yaml"),
      `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [rules.yaml]
scrape_configs: [{ job_name: perch, static_configs: [{ targets: ["${target}"] }] }]
`,
    );
    const args = ["--config.file=prometheus.yaml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0"];
    const child = spawn("prometheus", args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
    const ended = Promise.withResolvers<void>();
    child.on("close", () => ended.resolve());
    freeAfterTest(async () => {
      child.kill();
      await ended.promise;
    });
    const origin = `http://${await addressOf(child)}`;
    // It listens before it answers queries.
    await vi.waitFor(async () => expect((await fetch(`${origin}/-/ready`)).status).toBe(200), { timeout: 20_000 });
    return new Prometheus(origin);
  }

  async query(expr: string): Promise<readonly Series[]> {
    const { result } = await this.#get<{ result: readonly Series[] }>(`query?query=${encodeURIComponent(expr)}`);
    return result;
  }

  /** The one number that an expression gives; NaN where it gives none or several. */
  async number(expr: string): Promise<number> {
    const [first, ...more] = await this.query(expr);
    return first === undefined || more.length > 0 ? Number.NaN : Number(first.value[1]);
  }

  async alerts(): Promise<readonly Alert[]> {
    return (await this.#get<{ alerts: readonly Alert[] }>("alerts")).alerts;
  }

  async targets(): Promise<readonly { readonly health: string; readonly lastError: string }[]> {
    return (await this.#get<{ activeTargets: { health: string; lastError: string }[] }>("targets")).activeTargets;
  }

  async #get<T>(path: string): Promise<T> {
    const answer = await fetch(`${this.origin}/api/v1/${path}`);
    const { data, error } = (await answer.json()) as { data: T; error?: string };
    if (error !== undefined) throw new Error(error);
    return data;
  }
}

/** From the log line that names the port it was given. */
async function addressOf(child: ChildProcess): Promise<string> {
  if (child.stderr === null) throw new Error("no stderr to read");
  const seen: string[] = [];
  for await (const line of createInterface(child.stderr)) {
    seen.push(line);
    const [, address] = /"?Listening on"? address=(\S+)/.exec(line) ?? [];
    if (address !== undefined) {
      child.stderr.resume();
      return address;
    }
  }
  throw new Error(`Prometheus ended before it listened:\n${seen.join("\n")}`);
}
