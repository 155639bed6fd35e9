import { reportRelease } from "./admin/release-report.ts";
import type { AdminView, ExplainQuery } from "./admin/view.ts";
import { formatDiagnostic } from "./config/diagnostics.ts";
import type { CellRegistry, ReleaseCells } from "./observe/cells.ts";
import { Metrics } from "./observe/metrics.ts";
import { weightRatios } from "./observe/weight-ratios.ts";
import { packageVersion } from "./package-version.ts";
import type { ActiveSnapshot } from "./proxy/active-snapshot.ts";
import { explainRequest } from "./proxy/explain.ts";
import type { Gateway } from "./proxy/gateway.ts";
import type { Reloader } from "./reloader.ts";
import type { EndpointRegistry } from "./upstream/endpoint-registry.ts";

export interface AdminSources {
  readonly cells: CellRegistry;
  readonly endpoints: EndpointRegistry;
  readonly active: ActiveSnapshot;
  readonly reloader: Reloader;
  readonly lifecycle: { readonly draining: boolean };
  readonly gateway: Gateway;
  /** False where the configuration came from flags. */
  readonly fromFile: boolean;
}

/** What the admin server shows of this process. */
export function adminView(sources: AdminSources): AdminView {
  const { cells, endpoints, active, reloader, lifecycle, gateway } = sources;
  const metrics = new Metrics({
    cells,
    *endpointStates() {
      for (const { service, version, origin, up } of endpoints.all()) yield { service, version, endpoint: origin, up };
    },
    weightRatios: () => weightRatios(active.current.config.releases),
    build: { version: packageVersion, nodeVersion: process.versions.node },
  });
  return {
    metrics: () => metrics.render(),
    readiness: () => (lifecycle.draining ? "draining" : "ready"),
    config() {
      const { file, hash, loadedAtMs, warnings, lastError, restartNeeded } = reloader.status;
      return {
        active: { file: sources.fromFile ? file : undefined, hash, loadedAtMs, warnings },
        lastError: lastError && { ...lastError, text: lastError.problems.map(formatDiagnostic).join("\n") },
        restartNeeded,
      };
    },
    releases() {
      const counted = new Map(
        Array.from(cells.releases(), (release): [string, ReleaseCells] => [release.release, release]),
      );
      return active.current.config.releases.flatMap((spec) => {
        const found = counted.get(spec.name);
        return found === undefined ? [] : [reportRelease(spec, found, gateway.nowMs())];
      });
    },
    explain(query) {
      const explanation = explainRequest(active.current, described(query), {
        nowMs: gateway.nowMs(),
        random: gateway.randomUnit,
      });
      const refused = explanation.error?.code === "bad-request" ? explanation.trail[0] : undefined;
      if (refused !== undefined) return { kind: "refused", message: refused.detail };
      return { kind: "explained", explanation: { ...explanation } };
    },
  };
}

function described({ url, method, headers, cookies, client }: ExplainQuery) {
  const lines = new Map<string, string[]>(cookies === undefined ? [] : [["cookie", [cookies]]]);
  for (const [name, value] of headers) lines.set(name, [...(lines.get(name) ?? []), value]);
  return { url, method, headers: Object.fromEntries(lines), ...(client === undefined ? {} : { client }) };
}
