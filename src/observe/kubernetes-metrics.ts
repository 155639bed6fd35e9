import type { ExportedMetric, Sample } from "./stats-group.ts";

/** What is known of the endpoints of a port of a Kubernetes Service. */
export interface KubernetesServiceState {
  readonly namespace: string;
  readonly service: string;
  /** As in the configuration; undefined: its only port. */
  readonly port: string | number | undefined;
  readonly counts: { readonly ready: number; readonly terminating: number; readonly notReady: number };
  readonly answeredAtMs: number | undefined;
  readonly trouble: string | undefined;
}

/** Read at each scrape; without endpoints in Kubernetes there are no series. */
export function kubernetesMetrics(states: () => Iterable<KubernetesServiceState>): readonly ExportedMetric[] {
  return [
    {
      name: "perch_kubernetes_endpoints",
      help: "Endpoints of a Kubernetes Service by state; terminating: they still serve, and get requests while none is ready.",
      type: "gauge",
      *samples() {
        for (const { port = "", counts, ...named } of states()) {
          const labels = { kubernetes_service: nameOf(named), port: String(port) };
          yield { labels: { ...labels, state: "ready" }, value: counts.ready };
          yield { labels: { ...labels, state: "terminating" }, value: counts.terminating };
          yield { labels: { ...labels, state: "not-ready" }, value: counts.notReady };
        }
      },
    },
    {
      name: "perch_kubernetes_watch_up",
      help: "1 while the Kubernetes API tells of a Service's endpoints; 0: those known last stay in use.",
      type: "gauge",
      samples: () => eachService(states(), ({ trouble }) => (trouble === undefined ? 1 : 0)),
    },
    {
      name: "perch_kubernetes_last_answer_timestamp_seconds",
      help: "When the Kubernetes API last said something of a Service's endpoints: while all is well, a minute ago at most.",
      type: "gauge",
      samples: () =>
        eachService(states(), ({ answeredAtMs }) => (answeredAtMs === undefined ? undefined : answeredAtMs / 1000)),
    },
  ];
}

const nameOf = ({ namespace, service }: Pick<KubernetesServiceState, "namespace" | "service">): string =>
  `${namespace}/${service}`;

/** Its ports share one watch. */
function* eachService(
  states: Iterable<KubernetesServiceState>,
  numberIn: (state: KubernetesServiceState) => number | undefined,
): Iterable<Sample> {
  const seen = new Set<string>();
  for (const state of states) {
    const name = nameOf(state);
    const value = numberIn(state);
    if (value === undefined || seen.has(name)) continue;
    seen.add(name);
    yield { labels: { kubernetes_service: name }, value };
  }
}
