import { useSignal } from "@preact/signals";
import type { EndpointReport } from "../../../admin/endpoint-report.ts";
import { count } from "../../format/numbers.ts";
import { clock } from "../../format/times.ts";
import { Badge, type Tone } from "../../ui/badge.tsx";
import { Card } from "../../ui/card.tsx";
import { releaseWords } from "../../words/release.ts";
import { shellWords } from "../../words/shell.ts";
import { unhealthy } from "../overview/attention.ts";

const tones: Readonly<Record<EndpointReport["state"], Tone>> = {
  up: "good",
  failing: "bad",
  ejected: "bad",
  refused: "bad",
};

const shownFirst = 50;

interface EndpointsProps {
  readonly title?: string;
  readonly endpoints: readonly EndpointReport[];
}

/** Those that get nothing come first. */
export function Endpoints({ title = releaseWords.value.endpoints, endpoints }: EndpointsProps) {
  const words = releaseWords.value;
  const isAll = useSignal(false);
  const down = unhealthy(endpoints);
  const sorted = [...down, ...endpoints.filter(({ state }) => state === "up")];
  const shown = isAll.value ? sorted : sorted.slice(0, shownFirst);
  const aside = down.length > 0 ? words.unhealthy(down.length) : words.allHealthy;
  return (
    <Card title={title} aside={endpoints.length > 0 && aside}>
      {endpoints.length === 0 && <p class="hint">{words.noEndpoints}</p>}
      <ul class="endpoints">
        {shown.map((each) => (
          <EndpointItem key={`${each.service} ${each.version} ${each.endpoint}`} report={each} />
        ))}
      </ul>
      {shown.length < sorted.length && (
        <button type="button" onClick={() => (isAll.value = true)}>
          {words.showAll(count(sorted.length))}
        </button>
      )}
    </Card>
  );
}

function EndpointItem({ report }: { readonly report: EndpointReport }) {
  const words = releaseWords.value;
  const { service, version, endpoint, state, why, since, singleUseUntil } = report;
  return (
    <li>
      <Badge tone={tones[state]} text={shellWords.value.health[state]} />
      <span>
        <span class="endpoint">{endpoint}</span>{" "}
        <span class="hint">
          {service} · {version}
          {since !== null && ` · ${words.since} ${clock(since)}`}
        </span>
        {why !== null && <p>{why}</p>}
        {singleUseUntil !== null && <p class="hint">{words.singleUse(clock(singleUseUntil))}</p>}
      </span>
    </li>
  );
}
