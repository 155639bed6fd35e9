import type { Draft } from "../draft.ts";
import { covers } from "../hostnames.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { type Advice, noteUnread } from "../notes.ts";
import type { SourceObject } from "../source-object.ts";
import { isVisibleIn } from "./istio-visibility.ts";

/** Where requests for a port of a ServiceEntry go. */
export interface EntryPort {
  /** `host:port`, at least one. */
  readonly addresses: readonly [string, ...string[]];
  readonly isHttp2: boolean;
}

const advice: Readonly<Record<string, Advice>> = {
  subjectAltNames: { text: "not imported: set `tls.serverName` to the name it must have", protects: true },
  workloadSelector: { text: "its Pods and WorkloadEntries are not read: the host itself is written" },
};

/** Hosts outside the cluster, with their ports and addresses. */
export class ServiceEntries {
  readonly #entries: readonly Manifest[];
  readonly #used = new Set<Manifest>();
  readonly #draft: Draft;

  constructor(entries: readonly Manifest[], draft: Draft) {
    this.#entries = entries;
    this.#draft = draft;
  }

  /** For a host as a destination names it; `number` may be missing if there is one port. Undefined without an entry. */
  find(host: string, number: number | undefined, proxies: readonly string[]): EntryPort | undefined {
    const visible = this.#entries.filter((one) => proxies.some((proxy) => isVisibleIn(proxy, one)));
    const name = host.toLowerCase();
    const entry =
      visible.find((one) => hostsOf(one).includes(name)) ??
      visible.find((one) => hostsOf(one).some((pattern) => covers(pattern, name)));
    const ports = entry?.spec.objects("ports") ?? [];
    const port = ports.find((one) => (number === undefined ? ports.length === 1 : one.number("number") === number));
    const ofPort = port?.number("number");
    if (entry === undefined || port === undefined || ofPort === undefined) return undefined;
    this.#used.add(entry);
    const behind = port.number("targetPort") ?? ofPort;
    const [first = `${host}:${behind}`, ...others] = entry.spec
      .objects("endpoints")
      .flatMap((one) => addressOf(one, port.text("name"), behind));
    return {
      addresses: [first, ...others],
      isHttp2: /^(?:HTTP2|GRPC|GRPC-WEB)$/i.test(port.text("protocol")),
    };
  }

  /** Names what was not imported. One that no destination names has nothing that is needed. */
  noteUnread(): void {
    for (const entry of this.#entries) {
      entry.spec.dismiss("hosts", "addresses", "location", "resolution", "exportTo", "ports");
      if (this.#used.has(entry)) noteUnread(entry, advice, this.#draft);
      else this.#draft.note(titleOf(entry), "not needed: no route of the input sends requests to one of its ports");
    }
  }
}

function hostsOf({ spec }: Manifest): readonly string[] {
  return spec.texts("hosts").map((host) => host.toLowerCase());
}

function addressOf(endpoint: SourceObject, portName: string, port: number): readonly string[] {
  const address = endpoint.text("address");
  const own = endpoint.object("ports").number(portName) ?? port;
  endpoint.object("ports").dismiss();
  if (address === "" || address.includes("/")) return [];
  return [`${address.includes(":") ? `[${address}]` : address}:${own}`];
}
