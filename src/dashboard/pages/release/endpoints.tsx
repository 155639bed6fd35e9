import type { EndpointReport } from "../../../admin/endpoint-report.ts";
import { clock } from "../../format/times.ts";
import { Badge, type Tone } from "../../ui/badge.tsx";
import { Card } from "../../ui/card.tsx";
import { FirstItems } from "../../ui/first-items.tsx";
import { releaseWords } from "../../words/release.ts";
import { shellWords } from "../../words/shell.ts";
import { unhealthy } from "../overview/attention.ts";

const tones: Readonly<Record<EndpointReport["state"], Tone>> = {
  up: "good",
  failing: "bad",
  ejected: "bad",
  refused: "bad",
};

interface EndpointsProps {
  readonly title?: string;
  readonly endpoints: readonly EndpointReport[];
}

/** Those that get nothing come first. */
export function Endpoints({ title = releaseWords.value.endpoints, endpoints }: EndpointsProps) {
  const words = releaseWords.value;
  const down = unhealthy(endpoints);
  const sorted = [...down, ...endpoints.filter(({ state }) => state === "up")];
  const aside = down.length > 0 ? words.unhealthy(down.length) : words.allHealthy;
  return (
    <Card title={title} aside={endpoints.length > 0 && aside}>
      {endpoints.length === 0 && <p class="hint">{words.noEndpoints}</p>}
      <FirstItems items={sorted} limit={50}>
        {(shown) => (
          <ul class="endpoints">
            {shown.map((each) => (
              <EndpointItem key={`${each.service} ${each.version} ${each.endpoint}`} report={each} />
            ))}
          </ul>
        )}
      </FirstItems>
    </Card>
  );
}

function EndpointItem({ report }: { readonly report: EndpointReport }) {
  const words = releaseWords.value;
  const { service, version, endpoint, state, why, since, checked, singleUseUntil } = report;
  return (
    <li>
      <Badge tone={tones[state]} text={shellWords.value.health[state]} />
      <span>
        <span class="endpoint">{endpoint}</span>{" "}
        <span class="hint">
          {service} · {version}
          {since !== null && ` · ${words.since} ${clock(since)}`}
          {checked === null && ` · ${words.unchecked}`}
        </span>
        {why !== null && <p lang="en">{why}</p>}
        {singleUseUntil !== null && <p class="hint">{words.singleUse(clock(singleUseUntil))}</p>}
      </span>
    </li>
  );
}
