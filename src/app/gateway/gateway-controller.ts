import { hash } from "node:crypto";
import type { TlsSpec } from "../../config/compiled-config.ts";
import { type GatewayParts, gatewayPartsFile, maxPartsBytes } from "../../config/gateway-parts.ts";
import { Cluster } from "../../config/import/live-gateway/cluster.ts";
import { type CompiledGatewayApi, compileGatewayApi } from "../../config/import/live-gateway/compile-gateway.ts";
import { KnownRefusals, refusalMs } from "../../config/import/live-gateway/known-refusals.ts";
import { neededObjects } from "../../config/import/live-gateway/needed-objects.ts";
import { namesTakenBy, type TakenNames } from "../../config/import/live-gateway/stable-names.ts";
import { type WantedStatus, wantedStatuses, withoutOurs } from "../../config/import/live-gateway/statuses.ts";
import { isMap } from "../../config/import/source-object.ts";
import type { LoadResult } from "../../config/load.ts";
import type { ApiFiles } from "../../config/named-files.ts";
import type { ApiClient } from "../../kubernetes/api-client.ts";
import type { Schedule } from "../../upstream/clock.ts";
import { createLoader, noMemory } from "../config-source.ts";
import type { GatewayReply, GatewayRequest, GatewayStart } from "./gateway-messages.ts";
import { GatewayWatches, type WatchedObject } from "./gateway-watches.ts";
import { StatusWriter } from "./status-writer.ts";

/** Changes are compiled when no other has come for this long, and after the longer time in any case. */
const quietMs = 100;
const longestMs = 500;
/** How often the log says what a start waits for. */
const nextWordMs = 10_000;

/** Each is a watch of its own. */
const maxNamedObjects = 500;
const tooMany = "Gateways and policies name more Secrets and ConfigMaps than Perch follows: some of them are not read";
const unfollowed = `Perch follows ${maxNamedObjects} of what Gateways and policies name, by turns of their namespaces`;

type Loaded = Extract<GatewayRequest, { kind: "loaded" }>;

/** Follows the Gateway API, compiles it, and writes what became of it into the statuses. Runs in a thread of its own. */
export class GatewayController {
  readonly #start: GatewayStart;
  readonly #reply: (reply: GatewayReply) => void;
  readonly #schedule: Schedule;
  readonly #watches: GatewayWatches;
  readonly #writer: StatusWriter;
  #keys: GatewayStart["loader"]["keys"];
  #isLeader: boolean;
  /** Of the first change that is not compiled yet. */
  #changedAtMs: number | undefined;
  #cancel: (() => void) | undefined;
  #cancelRetry: (() => void) | undefined;
  #cancelWrites: (() => void) | undefined;
  readonly #startedMs = performance.now();
  #cancelWord: (() => void) | undefined;
  #running: Promise<void> | undefined;
  /** What the last compilation was of. */
  #signature = "";
  #compiled: CompiledGatewayApi | undefined;
  #objects: ReadonlyMap<string, WatchedObject> = new Map();
  /** Of the last files that were sent. */
  #digest = "";
  #version = 0;
  #memory = noMemory;
  readonly #refusals = new KnownRefusals(() => performance.now());
  #loaded: Loaded | undefined;
  #textHash = "";
  /** Whether more is named than is followed. */
  #isOverfull = false;
  /** What the log has been told, so that it is told once. */
  #notes = new Set<string>();

  constructor(start: GatewayStart, client: ApiClient, reply: (reply: GatewayReply) => void, schedule: Schedule) {
    this.#start = start;
    this.#schedule = schedule;
    this.#keys = start.loader.keys;
    this.#isLeader = start.isLeader;
    this.#reply = reply;
    this.#writer = new StatusWriter({
      client,
      nowMs: () => Date.now(),
      monotonicMs: () => performance.now(),
      onFailure: (object, why) => this.#log("warn", { object, why }, "the status of an object could not be written"),
    });
    this.#watches = new GatewayWatches({
      client,
      namespaces: start.spec.namespaces,
      onChange: () => this.#changed(),
      onTrouble: (why) => this.#troubled(why),
    });
    this.#waitOn();
  }

  loaded(message: Loaded): void {
    this.#loaded = message;
    this.#keys = message.keys ?? this.#keys;
    // The file may have changed, or a load may have found what the last compilation did not.
    if (message.problem !== undefined || message.textHash !== this.#textHash) this.#signature = "";
    this.#changed();
  }

  lead(isLeader: boolean): void {
    this.#isLeader = isLeader;
    if (isLeader) this.#changed();
  }

  async close(): Promise<void> {
    this.#cancel?.();
    this.#writer.close();
    await this.#watches.close();
    await this.#running;
    for (const cancel of [this.#cancel, this.#cancelRetry, this.#cancelWrites, this.#cancelWord]) cancel?.();
  }

  #changed(): void {
    const nowMs = performance.now();
    this.#changedAtMs ??= nowMs;
    this.#cancel?.();
    const untilMs = Math.min(nowMs + quietMs, this.#changedAtMs + longestMs);
    this.#cancel = this.#schedule(Math.max(0, untilMs - nowMs), () => this.#run());
  }

  /** One run at a time; changes in the meantime lead to another. */
  #run(): void {
    if (this.#running !== undefined) {
      void this.#running.then(() => this.#changed());
      return;
    }
    this.#changedAtMs = undefined;
    this.#running = this.#compileAndWrite()
      .catch((error: unknown) => {
        const why = error instanceof Error ? String(error.stack) : String(error);
        this.#log("error", { why }, "the Gateway API could not be compiled (a bug in Perch): what was active stays");
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #compileAndWrite(): Promise<void> {
    const { unready } = this.#watches;
    if (unready !== undefined) {
      this.#reply({ kind: "unready", why: unready });
      return;
    }
    this.#cancelWord?.();
    const objects = [...this.#watches.objects()];
    const unreadable = this.#watches.unreadable();
    const signature = signatureOf(objects, unreadable);
    if (signature !== this.#signature) {
      const cluster = new Cluster(objects, unreadable);
      const surplus = this.#follow(cluster);
      // Their first lists bring the next run.
      if (!this.#watches.isSettled) return;
      this.#signature = signature;
      await this.#compile(objects, new Map([...unreadable, ...surplus]));
    }
    this.#objects = new Map(objects.map((object) => [keyOf(object), object]));
    await this.#writeStatuses();
  }

  /** What did not load may load now, beside other objects. */
  #tryAgain(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = this.#schedule(refusalMs, () => {
      this.#signature = "";
      this.#changed();
    });
  }

  /** Why what is too much is not read. */
  #follow(cluster: Cluster): ReadonlyMap<string, string> {
    const needed = neededObjects(cluster, this.#start.spec);
    const surplus = needed.slice(maxNamedObjects);
    const isOverfull = surplus.length > 0;
    if (isOverfull && !this.#isOverfull) this.#log("error", { surplus: surplus.length, maxNamedObjects }, tooMany);
    this.#isOverfull = isOverfull;
    this.#watches.follow(needed.slice(0, maxNamedObjects));
    return new Map(surplus.map(({ kind, namespace, name }) => [`${kind} ${namespace}/${name}`, unfollowed]));
  }

  async #compile(objects: readonly WatchedObject[], unreadable: ReadonlyMap<string, string>): Promise<void> {
    const { spec, loader: options } = this.#start;
    const loader = createLoader({ ...options, keys: this.#keys }, () => Date.now(), this.#memory);
    const alone = await loader.load();
    this.#memory = loader.memory();
    const textHash = alone.ok ? hash("sha256", alone.sources.text) : this.#textHash;
    if (textHash !== this.#textHash) this.#refusals.clear();
    this.#textHash = textHash;
    const problemIn = (parts: GatewayParts, files: ApiFiles) => {
      // What is wrong with the file is no reason to leave out a route.
      if (!alone.ok) return undefined;
      return errorIn(loader.loadWith(withParts(parts, files)));
    };
    const compiled = compileGatewayApi({
      ...{ spec, objects, unreadable, problemIn },
      ...{ names: namesIn(alone), fileTls: fileTlsIn(alone), refusals: this.#refusals },
    });
    if (!this.#refusals.isEmpty) this.#tryAgain();
    this.#tellNotes(compiled);
    const files = withParts(compiled.parts, compiled.files);
    const bytes = files.get(gatewayPartsFile)?.length ?? 0;
    if (bytes > maxPartsBytes) {
      this.#log("error", { bytes, maxPartsBytes }, "the Gateway API has more routes than Perch can serve");
      return;
    }
    this.#compiled = compiled;
    const digest = digestOf(files);
    if (digest === this.#digest) return;
    this.#digest = digest;
    this.#version++;
    this.#reply({ kind: "compiled", version: this.#version, files });
  }

  async #writeStatuses(): Promise<void> {
    const compiled = this.#compiled;
    const loaded = this.#loaded;
    if (!this.#isLeader || compiled === undefined || loaded?.version !== this.#version) return;
    this.#cancelWrites?.();
    const { spec } = this.#start;
    const { problem = "", isActive } = loaded;
    const activation = isActive ? undefined : { reason: "Invalid", message: problem };
    const wanted = wantedStatuses(compiled, spec, activation);
    const againMs = await this.#writer.write([...wanted, ...this.#abandoned(wanted)], (status) =>
      this.#objects.get(`${status.kind} ${status.namespace}/${status.name}`),
    );
    if (againMs !== undefined) this.#cancelWrites = this.#schedule(againMs, () => this.#changed());
  }

  /** Objects that nothing is to be said of any more, with entries of ours. */
  #abandoned(wanted: readonly WantedStatus[]): readonly WantedStatus[] {
    const { controllerName } = this.#start.spec;
    const own = new Set(wanted.map(({ kind, namespace, name }) => `${kind} ${namespace}/${name}`));
    return [...this.#objects].flatMap(([key, { kind, status, metadata }]) => {
      if (own.has(key) || !isMap(status)) return [];
      const { namespace = "", name } = metadata;
      return withoutOurs({ kind: String(kind), namespace, name }, status, controllerName) ?? [];
    });
  }

  #tellNotes({ notes }: CompiledGatewayApi): void {
    const now = new Set(notes.map(({ where, what }) => `${where}: ${what}`));
    for (const note of now) {
      if (!this.#notes.has(note))
        this.#log("warn", { note }, "a part of the Gateway API is not served as it is written");
    }
    this.#notes = now;
  }

  #troubled(why: string | undefined): void {
    const { unready } = this.#watches;
    if (unready !== undefined) this.#reply({ kind: "unready", why: unready });
    if (why === undefined) this.#log("info", {}, "the Gateway API gives what Perch follows again");
    else if (unready === undefined) {
      this.#log("warn", { why }, "the Gateway API does not give what Perch follows: what is active stays");
    } else this.#wait(unready);
  }

  /** Nothing has been compiled yet, and a start does not go on before. */
  #wait(why: string): void {
    this.#cancelWord?.();
    const forSeconds = Math.round((performance.now() - this.#startedMs) / 1_000);
    this.#log("warn", { why, forSeconds }, "waiting for the Gateway API");
    this.#waitOn();
  }

  /** An API that gives no answer at all is no trouble yet. */
  #waitOn(): void {
    this.#cancelWord = this.#schedule(nextWordMs, () => {
      const { unready } = this.#watches;
      if (unready !== undefined) this.#wait(unready);
    });
  }

  #log(level: "info" | "warn" | "error", fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#reply({ kind: "log", level, fields, message });
  }
}

function keyOf({ kind, metadata }: WatchedObject): string {
  // As manifests have it, of objects without a namespace too.
  return `${String(kind)} ${metadata.namespace ?? "default"}/${metadata.name}`;
}

/** Another one where something changed that counts: statuses do not. */
function signatureOf(objects: readonly WatchedObject[], unreadable: ReadonlyMap<string, string>): string {
  const parts = objects.map((object) => {
    const { generation, labels, annotations, resourceVersion, uid } = object.metadata as unknown as Readonly<
      Record<string, unknown>
    >;
    // Kinds of Kubernetes itself have no generation that counts each change.
    const version = String(object["apiVersion"]).includes("/")
      ? [uid, generation, labels, annotations]
      : [uid, resourceVersion];
    return `${keyOf(object)} ${JSON.stringify(version)}`;
  });
  return hash("sha256", [...parts, JSON.stringify([...unreadable])].join("\n"));
}

function withParts(parts: GatewayParts, files: ApiFiles): ApiFiles {
  return new Map([[gatewayPartsFile, new TextEncoder().encode(JSON.stringify(parts))], ...files]);
}

function digestOf(files: ApiFiles): string {
  return hash("sha256", Array.from(files, ([path, bytes]) => `${path} ${hash("sha256", bytes)}`).join("\n"));
}

function errorIn(result: LoadResult): string | undefined {
  return result.ok ? undefined : result.problems.find(({ severity }) => severity === "error")?.message;
}

function namesIn(result: LoadResult): TakenNames {
  return result.ok ? namesTakenBy(result) : { services: [], releases: [], routes: [], cookies: [] };
}

function fileTlsIn(result: LoadResult): ReadonlyMap<string, TlsSpec> {
  const listeners = result.ok ? result.compiled.listeners : [];
  return new Map(listeners.flatMap(({ name, tls }) => (tls === undefined ? [] : [[name, tls] as const])));
}
