import type { DraftObject } from "./kubernetes-objects.ts";

/** An endpoint in short: what is not given is as a ready Pod without hints has it. */
export interface DraftEndpoint {
  readonly address: string;
  readonly ready?: boolean | null;
  readonly serving?: boolean | null;
  readonly terminating?: boolean | null;
  /** The uid of its Pod. */
  readonly pod?: string;
  readonly zones?: readonly string[];
}

export interface DraftSlice {
  readonly service?: string;
  readonly namespace?: string;
  /** Default: the Service's. */
  readonly name?: string;
  readonly addressType?: string;
  /** Port numbers by name. */
  readonly ports: Readonly<Record<string, number>>;
  readonly endpoints: readonly DraftEndpoint[];
}

/** An EndpointSlice as the controller of Kubernetes writes it. */
export function endpointSlice({
  service = "shop",
  namespace = "shop",
  name = service,
  addressType = "IPv4",
  ports,
  endpoints,
}: DraftSlice): DraftObject {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { namespace, name, labels: { "kubernetes.io/service-name": service } },
    addressType,
    ports: Object.entries(ports).map(([port, number]) => ({ name: port, port: number, protocol: "TCP" })),
    endpoints: endpoints.map(draftEndpoint),
  };
}

function draftEndpoint({ address, ready = true, serving = ready, terminating = false, pod, zones }: DraftEndpoint) {
  return {
    addresses: [address],
    conditions: { ready, serving, terminating },
    ...(pod === undefined ? {} : { targetRef: { kind: "Pod", uid: pod, name: pod } }),
    ...(zones === undefined ? {} : { hints: { forZones: zones.map((zone) => ({ name: zone })) } }),
  };
}
