import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { freeAfterTest, perch } from "./freed.ts";
import { type AdminClient, adminClient, type TestPerch, type TestPerchOptions } from "./perch.ts";
import { PerchProcess } from "./process.ts";

/** Listeners and an admin server on free ports. */
export const freePorts = `listeners: [{ name: web, address: "127.0.0.1:0" }]\nadmin: { address: "127.0.0.1:0" }\n`;

/** An empty folder, removed after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "perch-test-"));
  freeAfterTest(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a new file and renames it over the old one, as many editors do. */
export async function renameOver(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

export interface ServedPerch extends AdminClient {
  readonly process: PerchProcess;
  readonly origin: string;
  readonly port: number;
  readonly file: string;
  /** Replaces the configuration, except the listeners. */
  write(yaml: string): Promise<void>;
}

/** `perch serve -c FILE` in its own process, on free ports, from a configuration without `listeners` and `admin`. */
export async function servePerch(yaml: string, args: readonly string[] = [], main?: string): Promise<ServedPerch> {
  const file = join(await temporaryFolder(), "perch.yaml");
  const write = (text: string) => renameOver(file, freePorts + text);
  await write(yaml);
  const process = perchProcess(["serve", "-c", file, "--warm-up", "0s", ...args], {}, main);
  const { origin, admin } = await process.serving();
  return {
    process,
    origin,
    port: Number(new URL(origin).port),
    file,
    ...adminClient(admin),
    write,
  };
}

export interface LoggedPerch extends TestPerch {
  /** Stops Perch; the lines of its access log. */
  log(): Promise<Readonly<Record<string, unknown>>[]>;
}

/** Perch in this process, whose access log can be read. */
export async function loggedPerch(yaml: string, options: TestPerchOptions = {}): Promise<LoggedPerch> {
  const file = join(await temporaryFolder(), "access.log");
  const started = await perch(yaml, { ...options, accessLogTo: file });
  return {
    ...started,
    async log() {
      await started.stop();
      const lines = (await readFile(file, "utf8")).trim().split("\n");
      return lines.map((line) => JSON.parse(line));
    },
  };
}

/** Perch in this process, from a file that it watches. */
export function perchOn(path: string, env: TestPerchOptions["env"] = {}): Promise<TestPerch> {
  return perch("", { source: { kind: "file", path }, env });
}

/** Polls for a file's change, which is noticed within 100 ms, or at Perch's next poll without a file event. */
export const soon = { timeout: 10_000, interval: 20 };

/** Perch on a new file with this configuration; `change` resolves once the new one is active. */
export async function changeablePerch(text: string, env: TestPerchOptions["env"] = {}) {
  const file = join(await temporaryFolder(), "perch.yaml");
  await writeFile(file, text);
  const started = await perchOn(file, env);
  const loads = () => started.metric('perch_config_reloads_total{result="success"}');
  /** Resolves once `act` has led to one more successful reload. */
  const reloadedBy = async (act: () => Promise<void>) => {
    const before = (await loads()) ?? 0;
    await act();
    await expect.poll(loads, soon).toBe(before + 1);
  };
  /** The text of the error, once the next configuration is rejected. */
  const rejectedBy = async (next: string) => {
    await renameOver(file, next);
    await expect.poll(() => started.metric("perch_config_last_reload_successful"), soon).toBe(0);
    return (await started.admin("/api/config")).text();
  };
  const change = (next: string) => reloadedBy(() => renameOver(file, next));
  return { perch: started, file, reloadedBy, change, rejectedBy };
}

/** A process that is killed after the test, unless it has ended. */
export function perchProcess(...args: ConstructorParameters<typeof PerchProcess>): PerchProcess {
  const started = new PerchProcess(...args);
  freeAfterTest(() => started.stop());
  return started;
}
