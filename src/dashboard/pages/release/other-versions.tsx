import type { LiveRelease, VersionTick } from "../../../admin/live/live-bodies.ts";
import { millis, percent } from "../../format/numbers.ts";
import { FirstItems } from "../../ui/first-items.tsx";
import { releaseWords } from "../../words/release.ts";
import { perSecond, type SpanName } from "./spans.ts";

interface OtherVersionsProps {
  readonly versions: LiveRelease["versions"];
  readonly ticks: Readonly<Record<string, VersionTick>>;
  readonly name: SpanName;
}

export function OtherVersions({ versions, ticks, name }: OtherVersionsProps) {
  const words = releaseWords.value;
  return (
    <>
      <h3 class="sub-head">{words.otherVersions}</h3>
      <FirstItems items={versions} limit={20}>
        {(shown) => (
          <table class="compact">
            <thead>
              <tr>
                <th scope="col">{words.version}</th>
                <th scope="col" class="number">
                  {words.rows.requests}
                </th>
                <th scope="col" class="number">
                  {words.rows.failed}
                </th>
                <th scope="col" class="number">
                  p95
                </th>
              </tr>
            </thead>
            <tbody>
              {shown.map(({ version }) => {
                const summary = ticks[version]?.[name];
                const share =
                  summary === undefined || summary.requests === 0 ? null : summary.failed / summary.requests;
                return (
                  <tr key={version}>
                    <th scope="row">{version}</th>
                    <td class="number">{perSecond(summary)}</td>
                    <td class="number">{percent(share)}</td>
                    <td class="number">{millis(summary?.p95?.[0])}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        )}
      </FirstItems>
    </>
  );
}
