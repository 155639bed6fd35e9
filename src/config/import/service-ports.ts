import type { Draft } from "./draft.ts";
import { type Loose, mapIn, mapsIn, numberIn, textIn } from "./loose.ts";
import type { Manifest } from "./manifests.ts";

/** Where a Kubernetes Service is reached, as far as the input tells. */
export class ServicePorts {
  readonly #services: ReadonlyMap<string, Manifest>;
  readonly #draft: Draft;

  constructor(manifests: readonly Manifest[], draft: Draft) {
    const services = manifests.filter(({ kind, group }) => kind === "Service" && group === "");
    this.#services = new Map(services.map((service) => [`${service.namespace}/${service.name}`, service]));
    this.#draft = draft;
  }

  /** `scheme://name.namespace:port`. A named port is looked up in the Service, which may not be among the input. */
  origin(scheme: string, namespace: string, name: string, port: Loose | number | undefined, where: string): string {
    const number =
      typeof port === "number" ? port : (numberIn(port?.["number"]) ?? this.#named(namespace, name, port, where));
    return `${scheme}://${name}.${namespace}:${number}`;
  }

  #named(namespace: string, name: string, port: Loose | undefined, where: string): number {
    const wanted = textIn(port?.["name"]);
    const service = this.#services.get(`${namespace}/${name}`);
    const found = mapsIn(service?.spec["ports"]).find((candidate) => textIn(mapIn(candidate)["name"]) === wanted);
    const number = numberIn(found?.["port"]);
    if (number !== undefined) return number;
    this.#draft.note(
      where,
      `the port ${wanted === "" ? "" : `"${wanted}" `}of Service ${namespace}/${name} is not known here, so 80 stands in its place: put the Service in the input as well, or write its port`,
    );
    return 80;
  }
}
