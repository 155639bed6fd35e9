import { useSignal } from "@preact/signals";
import type { LiveRelease, VersionTick } from "../../../admin/live/live-bodies.ts";
import { count, millis, percent } from "../../format/numbers.ts";
import { releaseWords } from "../../words/release.ts";
import { perSecond, type SpanName } from "./spans.ts";

interface OtherVersionsProps {
  readonly versions: LiveRelease["versions"];
  readonly ticks: Readonly<Record<string, VersionTick>>;
  readonly name: SpanName;
}

/** More are shown when asked for. */
const shownFirst = 20;

export function OtherVersions({ versions, ticks, name }: OtherVersionsProps) {
  const words = releaseWords.value;
  const isAll = useSignal(false);
  const shown = isAll.value ? versions : versions.slice(0, shownFirst);
  return (
    <>
      <h3 class="sub-head">{words.otherVersions}</h3>
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
            const share = summary === undefined || summary.requests === 0 ? null : summary.failed / summary.requests;
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
      {shown.length < versions.length && (
        <button type="button" onClick={() => (isAll.value = true)}>
          {words.showAll(count(versions.length))}
        </button>
      )}
    </>
  );
}
