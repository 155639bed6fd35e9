import { ago, clock } from "../../format/times.ts";
import { type ConfigState, serverNowMs } from "../../store/live.ts";
import { Badge } from "../../ui/badge.tsx";
import { FirstItems } from "../../ui/first-items.tsx";
import { overviewWords } from "../../words/overview.ts";

/** The configuration in force. That a newer file was rejected is said across the page. */
export function ConfigCard({ state: { active } }: { readonly state: ConfigState }) {
  const words = overviewWords.value;
  const count = active.warnings.length;
  return (
    <section class="card config-card" aria-label={words.config}>
      <h2>{words.config}</h2>
      <code>{active.file ?? words.noFile}</code>
      <span class="hint">
        {words.hash} <code>{active.hash.slice(0, 12)}</code>
      </span>
      <span class="hint">{words.loaded(clock(active.loadedAt), ago(active.loadedAt, serverNowMs.value))}</span>
      {count === 0 ? (
        <Badge tone="good" text={words.warnings(0)} />
      ) : (
        <details>
          <summary>
            <Badge tone="warn" text={words.warnings(count)} />
          </summary>
          <FirstItems items={active.warnings}>
            {(shown) => (
              <ul class="plain-list">
                {shown.map(({ position, message }) => (
                  <li key={`${position} ${message}`}>
                    <code>{position}</code> {message}
                  </li>
                ))}
              </ul>
            )}
          </FirstItems>
        </details>
      )}
    </section>
  );
}
