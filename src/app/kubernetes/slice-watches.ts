import type { ApiAccess } from "../../kubernetes/api-access.ts";
import { ApiClient } from "../../kubernetes/api-client.ts";
import {
  type EndpointSlice,
  type PodAddress,
  readEndpoints,
  type ServiceEndpoints,
} from "../../kubernetes/endpoint-slices.ts";
import { ListWatch } from "../../kubernetes/list-watch.ts";
import type { Logger } from "../../observe/log.ts";
import type { SliceResolver } from "../../upstream/endpoint-resolver.ts";
import type { SliceRecords } from "../../upstream/received-slices.ts";
import { type EndpointRecord, questionKey, type SliceQuestion } from "../../upstream/service-spec.ts";
import { systemTimers } from "../system-timers.ts";
import { within } from "../within.ts";

/** What Perch knows of the endpoints of one Kubernetes Service. */
export interface SliceReport extends Pick<ServiceEndpoints, "counts" | "problems"> {
  readonly namespace: string;
  readonly service: string;
  readonly port: string | number | undefined;
  /** How many get new requests. */
  readonly used: number;
  /** When the API last said something; undefined: it has not yet. */
  readonly answeredAtMs: number | undefined;
  /** Why the API does not answer; undefined: it does. */
  readonly trouble: string | undefined;
}

export interface SliceWatchesOptions {
  /** Closed in the end. */
  readonly access: ApiAccess;
  /** Where this process runs; undefined: hints for zones are ignored. */
  readonly zone: string | undefined;
  readonly log: Logger;
  /** Called with the records that have changed. */
  readonly onRecords: (records: SliceRecords) => void;
}

/** Changes that come sooner after others are taken together: each costs every thread a new list of endpoints. */
const togetherMs = 100;

const notYet: ServiceEndpoints = {
  used: [],
  counts: { ready: 0, terminating: 0, notReady: 0 },
  problems: [],
};

/**
 * Follows the EndpointSlices of the Services whose Pods are endpoints: one watch for each Service. While the API is away,
 * the endpoints known last stay.
 */
export class SliceWatches implements SliceResolver {
  readonly #options: SliceWatchesOptions;
  readonly #client: ApiClient;
  /** By `namespace/name`. */
  #watches: ReadonlyMap<string, ServiceWatch> = new Map();
  #changed: () => void = () => {};
  /** Why the API does not answer, by Service. */
  readonly #troubles = new Map<string, string>();

  constructor(options: SliceWatchesOptions) {
    this.#options = options;
    this.#client = new ApiClient(options.access);
  }

  records(question: SliceQuestion): readonly EndpointRecord[] {
    return this.#watches.get(this.#nameOf(question))?.records(question) ?? [];
  }

  follow(questions: readonly SliceQuestion[], changed: () => void): void {
    this.#changed = changed;
    const before = this.#watches;
    this.#watches = this.#with(questions, new Map());
    for (const [name, watch] of before) {
      if (this.#watches.has(name)) continue;
      void watch.close();
      this.#troubles.delete(name);
    }
    const byName = Map.groupBy(questions, (question) => this.#nameOf(question));
    for (const [name, watch] of this.#watches) watch.keepOnly(byName.get(name) ?? []);
  }

  /** Starts to follow these as well, and waits for the first answer to each, or for `maxMs`. */
  async prepare(questions: readonly SliceQuestion[], maxMs: number): Promise<void> {
    this.#watches = this.#with(questions, new Map(this.#watches));
    const names = new Set(questions.map((question) => this.#nameOf(question)));
    const first = Promise.all(Array.from(names, (name) => this.#watches.get(name)?.first));
    await within(maxMs, first);
    const waiting = [...names].filter((name) => this.#watches.get(name)?.isAnswered === false);
    if (waiting.length === 0) return;
    const why = waiting.map((name) => this.#troubles.get(name)).find((each) => each !== undefined) ?? "no answer yet";
    const effect =
      "the endpoints of these Services are not known: they get no requests until the Kubernetes API answers";
    this.#options.log.warn({ services: waiting, why }, effect);
  }

  /** All records, for a thread that starts now. */
  all(): SliceRecords {
    return new Map(Array.from(this.#watches.values()).flatMap((watch) => watch.all()));
  }

  reports(): readonly SliceReport[] {
    return Array.from(this.#watches).flatMap(([name, watch]) => watch.reports(this.#troubles.get(name)));
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#watches.values(), (watch) => watch.close()));
    await this.#options.access.close();
  }

  #nameOf({ namespace = this.#options.access.namespace ?? "default", service }: SliceQuestion): string {
    return `${namespace}/${service}`;
  }

  #with(questions: readonly SliceQuestion[], watches: Map<string, ServiceWatch>): Map<string, ServiceWatch> {
    const { zone, log, onRecords } = this.#options;
    for (const question of questions) {
      const name = this.#nameOf(question);
      const watch =
        watches.get(name) ??
        this.#watches.get(name) ??
        new ServiceWatch({
          ...{ client: this.#client, zone, log, name },
          onTrouble: (why) => this.#told(name, why),
          onRecords: (records) => {
            onRecords(records);
            this.#changed();
          },
        });
      watch.add(question);
      watches.set(name, watch);
    }
    return watches;
  }

  /** One line when the API stops answering, however many watches it ends, and one when it answers them all again. */
  #told(service: string, why: string | undefined): void {
    const { log } = this.#options;
    if (why === undefined) {
      const wasTroubled = this.#troubles.delete(service);
      if (wasTroubled && this.#troubles.size === 0) log.info("the Kubernetes API gives EndpointSlices again");
      return;
    }
    const isNew = !this.#troubles.has(service) && ![...this.#troubles.values()].includes(why);
    this.#troubles.set(service, why);
    if (isNew)
      log.warn(
        { service, why },
        "the Kubernetes API does not give EndpointSlices: the endpoints known last stay in use",
      );
  }
}

interface ServiceWatchOptions {
  readonly client: ApiClient;
  readonly zone: string | undefined;
  readonly log: Logger;
  /** `namespace/name`. */
  readonly name: string;
  readonly onTrouble: (why: string | undefined) => void;
  readonly onRecords: (records: SliceRecords) => void;
}

interface Followed {
  readonly question: SliceQuestion;
  found: ServiceEndpoints;
  records: readonly EndpointRecord[];
}

/** The EndpointSlices of one Service, and what they say about each of its ports that is asked for. */
class ServiceWatch {
  readonly #options: ServiceWatchOptions;
  readonly #watch: ListWatch<EndpointSlice>;
  readonly #first = Promise.withResolvers<void>();
  /** By `questionKey`. */
  readonly #followed = new Map<string, Followed>();
  #slices: ReadonlyMap<string, EndpointSlice> | undefined;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #cancelRead: (() => void) | undefined;

  constructor(options: ServiceWatchOptions) {
    this.#options = options;
    const [namespace = "", service = ""] = options.name.split("/");
    this.#watch = new ListWatch<EndpointSlice>({
      client: options.client,
      path: `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
      labelSelector: `kubernetes.io/service-name=${service}`,
      timers: systemTimers,
      randomFraction: Math.random,
      onTrouble: options.onTrouble,
      onObjects: (slices) => this.#take(slices),
    });
  }

  /** Resolves after the first list. */
  get first(): Promise<void> {
    return this.#first.promise;
  }

  get isAnswered(): boolean {
    return this.#slices !== undefined;
  }

  add(question: SliceQuestion): void {
    const key = questionKey(question);
    if (this.#followed.has(key)) return;
    this.#followed.set(key, { question, found: notYet, records: [] });
    this.#read();
  }

  keepOnly(questions: readonly SliceQuestion[]): void {
    const kept = new Set(questions.map(questionKey));
    for (const key of this.#followed.keys()) if (!kept.has(key)) this.#followed.delete(key);
  }

  records(question: SliceQuestion): readonly EndpointRecord[] {
    return this.#followed.get(questionKey(question))?.records ?? [];
  }

  all(): [key: string, records: readonly EndpointRecord[]][] {
    return Array.from(this.#followed, ([key, { records }]) => [key, records]);
  }

  reports(trouble: string | undefined): SliceReport[] {
    const [namespace = "", service = ""] = this.#options.name.split("/");
    const { answeredAtMs } = this.#watch;
    return Array.from(this.#followed.values(), ({ question: { port }, found: { counts, problems }, records }) => ({
      ...{ namespace, service, port, counts, problems, answeredAtMs, trouble },
      used: records.length,
    }));
  }

  async close(): Promise<void> {
    this.#cancelRead?.();
    this.#first.resolve();
    await this.#watch.close();
  }

  #take(slices: ReadonlyMap<string, EndpointSlice>): void {
    const isFirst = this.#slices === undefined;
    this.#slices = slices;
    if (isFirst) {
      this.#read();
      this.#first.resolve();
      return;
    }
    const sinceMs = systemTimers.monotonicMs() - this.#readAtMs;
    this.#cancelRead ??= systemTimers.schedule(Math.max(togetherMs - sinceMs, 0), () => this.#read());
  }

  #read(): void {
    if (this.#slices === undefined) return;
    this.#cancelRead?.();
    this.#cancelRead = undefined;
    this.#readAtMs = systemTimers.monotonicMs();
    const slices = [...this.#slices.values()];
    const changed = new Map<string, readonly EndpointRecord[]>();
    for (const [key, followed] of this.#followed)
      if (this.#readFor(followed, slices)) changed.set(key, followed.records);
    if (changed.size > 0) this.#options.onRecords(changed);
  }

  /** Whether its records have changed. */
  #readFor(followed: Followed, slices: readonly EndpointSlice[]): boolean {
    const { name, zone, log } = this.#options;
    const { question, found: before, records: recordsBefore } = followed;
    const found = readEndpoints(slices, { port: question.port, zone });
    followed.found = found;
    if (found.problems.join() !== before.problems.join()) {
      const fields = { service: name, port: question.port, problems: found.problems };
      if (found.problems.length > 0) log.warn(fields, "the endpoints of a Kubernetes Service are not as expected");
      else log.info(fields, "the endpoints of a Kubernetes Service are as expected again");
    }
    if (textOf(found.used) === textOf(before.used)) return false;
    const [namespace = "", service = ""] = name.split("/");
    // As in the certificates that are made for Services.
    const host = `${service}.${namespace}.svc`;
    followed.records = found.used.map(({ address, port }) => ({ address, port, host }));
    const { added, removed } = difference(recordsBefore, followed.records);
    log.info(
      { service: name, port: question.port, endpoints: found.used.length, added, removed, ...found.counts },
      "the endpoints of a Kubernetes Service changed",
    );
    return true;
  }
}

const textOf = (addresses: readonly PodAddress[]): string =>
  addresses.map(({ address, port }) => `${address} ${port}`).join();

function difference(before: readonly EndpointRecord[], after: readonly EndpointRecord[]) {
  const texts = (records: readonly EndpointRecord[]) =>
    new Set(records.map(({ address, port }) => `${address} ${port}`));
  const [old, now] = [texts(before), texts(after)];
  const kept = [...now].filter((text) => old.has(text)).length;
  return { added: now.size - kept, removed: old.size - kept };
}
