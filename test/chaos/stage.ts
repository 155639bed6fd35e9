import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certPem, keyPem } from "../kit/pki.ts";
import type { Misbehaviour } from "./chaos-upstream.ts";
import { PerchProcess } from "./perch-process.ts";
import { UpstreamProcess } from "./upstream-process.ts";

const certificates = ["shop", "renewed"] as const;

export type Lane = "fast" | "standard";

/** Perch in front of two versions with two endpoints each, every part in its own process. */
export class Stage {
  readonly lane: Lane;
  readonly upstreams: readonly UpstreamProcess[];
  readonly directory: string;
  /** The instance that gets the traffic. */
  perch: PerchProcess | undefined;
  #secrets: readonly string[] = [secret("first")];
  #reloads = 0;
  #swaps = 0;

  private constructor(lane: Lane, upstreams: readonly UpstreamProcess[]) {
    this.lane = lane;
    this.upstreams = upstreams;
    this.directory = mkdtempSync(join(tmpdir(), "perch-chaos-"));
  }

  static async set(lane: Lane): Promise<Stage> {
    const ports = await freePorts(4);
    const versions = ["stable", "stable", "canary", "canary"];
    const stage = new Stage(
      lane,
      ports.map((port, index) => new UpstreamProcess(port, versions[index] ?? "stable")),
    );
    await Promise.all(stage.upstreams.map((upstream) => upstream.start()));
    stage.#writeSecrets();
    stage.swapCertificates();
    stage.reload("good");
    stage.perch = await stage.startPerch("/dev/null");
    return stage;
  }

  async startPerch(accessLog: string): Promise<PerchProcess> {
    const [port = 0, tlsPort = 0, adminPort = 0] = await freePorts(3);
    return PerchProcess.start({ configFile: this.#file("perch.yaml"), port, tlsPort, adminPort, accessLog });
  }

  get origin(): string {
    return this.perch?.origin ?? "";
  }

  endpointsOf(version: string): readonly UpstreamProcess[] {
    return this.upstreams.filter((upstream) => upstream.version === version);
  }

  misbehave(misbehaviour: Misbehaviour): void {
    for (const upstream of this.upstreams) upstream.misbehave(misbehaviour);
  }

  /** Writes the configuration again, with a harmless change or broken. */
  reload(kind: "good" | "bad"): void {
    this.#reloads++;
    this.#replace("perch.yaml", kind === "good" ? this.#config() : `${this.#config()}\nroutes: [{ nothing: here }`);
  }

  /** Adds a secret that signs; the last ones still verify. */
  rotateSecrets(): void {
    this.#secrets = [secret(`number-${this.#secrets.length}-${Date.now()}`), ...this.#secrets].slice(0, 50);
    this.#writeSecrets();
  }

  /** Writes the other of two certificates of one name, which briefly does not match the key file. */
  swapCertificates(): void {
    const name = certificates[this.#swaps++ % certificates.length] ?? "shop";
    this.#replace("tls.crt", certPem(name));
    this.#replace("tls.key", keyPem(name));
  }

  async leave(): Promise<void> {
    this.perch?.kill();
    await Promise.all(this.upstreams.map((upstream) => upstream.kill()));
    rmSync(this.directory, { recursive: true, force: true });
  }

  #writeSecrets(): void {
    this.#replace("secrets", `${this.#secrets.join("\n")}\n`);
  }

  #file(name: string): string {
    return join(this.directory, name);
  }

  /** Atomically, as editors and the kubelet do. */
  #replace(name: string, text: string): void {
    writeFileSync(this.#file(`${name}.new`), text);
    renameSync(this.#file(`${name}.new`), this.#file(name));
  }

  #config(): string {
    const origins = (version: string) =>
      this.endpointsOf(version)
        .map(({ port }) => `"http://127.0.0.1:${port}"`)
        .join(", ");
    return `# change ${this.#reloads}
listeners:
  - { name: web, address: "127.0.0.1:\${PERCH_PORT}" }
  - name: secure
    address: "127.0.0.1:\${PERCH_TLS_PORT}"
    tls: { certificates: [{ certFile: ${this.#file("tls.crt")}, keyFile: ${this.#file("tls.key")} }] }
admin: { address: "127.0.0.1:\${PERCH_ADMIN_PORT}" }
exposeVersion: true
fastLane: ${this.lane === "fast" ? "on" : "off"}
services:
  shop:
    versions:
      stable: { endpoints: [${origins("stable")}] }
      canary: { endpoints: [${origins("canary")}] }
    timeouts: { connect: 500ms, responseHeaders: 1500ms, idle: 3s }
releases:
  shop:
    sticky: { cookie: { secretFile: ${JSON.stringify(this.#file("secrets"))} } }
    split: { stable: 50, canary: 50 }
routes:
  - { name: shop, service: shop, release: shop }
${this.#reloads % 2 === 0 ? "  - { name: never, match: { hosts: [never.example] }, service: shop }\n" : ""}`;
  }
}

function secret(name: string): string {
  return `${name}-`.padEnd(48, "0123456789abcdef");
}

/** Free ports, all held at once, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen({ port: 0, host: "127.0.0.1" }, resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
