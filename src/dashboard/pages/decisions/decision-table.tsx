import { millis, unknown } from "../../format/numbers.ts";
import { offsetOf, shortClock } from "../../format/times.ts";
import { decisionsWords } from "../../words/decisions.ts";
import type { DecisionRow } from "./decision-rows.ts";

interface DecisionTableProps {
  readonly rows: readonly DecisionRow[];
  /** Whether newer ones may be missing. */
  readonly isOld: boolean;
}

export function DecisionTable({ rows, isOld }: DecisionTableProps) {
  const words = decisionsWords.value;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard must be able to scroll it
    <section class={`scroll ${isOld ? "old" : ""}`} aria-label={words.tableLabel} tabIndex={0}>
      <table class="decisions">
        <thead>
          <tr>
            <th scope="col">{words.time(offsetOf(new Date()))}</th>
            <th scope="col">{words.release}</th>
            <th scope="col">{words.version}</th>
            <th scope="col">{words.reason}</th>
            <th scope="col">{words.rule}</th>
            <th scope="col">{words.route}</th>
            <th scope="col">{words.method}</th>
            <th scope="col" class="number">
              {words.status}
            </th>
            <th scope="col" class="number">
              {words.duration}
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Row key={row.id} row={row} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Row({ row }: { readonly row: DecisionRow }) {
  const words = decisionsWords.value;
  const reasons: Readonly<Record<string, string>> = words.reasons;
  const { reason, error, status } = row;
  const isFailed = status >= 500 || error !== null;
  return (
    <tr class={isFailed ? "failed" : ""}>
      <td class="time">{shortClock(row.atMs)}</td>
      <td>{row.release ?? unknown}</td>
      <td>
        {row.assigned !== null && (
          <span class="hint">
            {words.assigned(row.assigned)} <span aria-hidden="true">→</span>{" "}
          </span>
        )}
        {row.version ?? unknown}
      </td>
      <td>{reason === null ? unknown : (reasons[reason] ?? reason)}</td>
      <td>{row.rule ?? unknown}</td>
      <td>{row.route}</td>
      <td>{row.method}</td>
      <td class="number">
        {isFailed && <span aria-hidden="true">✕ </span>}
        {status}
        {error !== null && ` ${error}`}
      </td>
      <td class="number">{millis(row.durationMs)}</td>
    </tr>
  );
}
