import { shortClock } from "../../../format/times.ts";
import { Prose } from "../../../ui/prose.tsx";
import { chartWords } from "../../../words/charts.ts";
import { eventsWords } from "../../../words/events.ts";
import type { Marker } from "./markers.ts";

const mostShown = 20;

/** What the letters on the charts stand for, the newest first. */
export function MarkerList({ markers }: { readonly markers: readonly Marker[] }) {
  const words = chartWords.value;
  return (
    <details class="markers" open={markers.length > 0 && markers.length <= 5}>
      <summary>
        {words.markers} ({markers.length})
      </summary>
      {markers.length === 0 && <p class="hint">{words.noMarkers}</p>}
      <ul class="plain-list">
        {markers.slice(0, mostShown).map(({ id, atMs, letter, did, text, isBad }) => (
          <li key={id}>
            <span class={`marker ${isBad ? "marker-bad" : ""}`}>{letter}</span>{" "}
            <span class="hint nowrap">{shortClock(atMs)}</span>{" "}
            {did !== undefined && <strong>{eventsWords.value.rollout[did] ?? did}: </strong>}
            <span lang="en">
              <Prose text={text} />
            </span>
          </li>
        ))}
      </ul>
    </details>
  );
}
