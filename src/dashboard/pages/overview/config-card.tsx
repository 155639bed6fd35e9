import type { ConfigBody } from "../../../admin/api.ts";
import { ago, clock } from "../../format/times.ts";
import { serverNowMs } from "../../store/live.ts";
import { Badge } from "../../ui/badge.tsx";
import { ConfigWarnings } from "../../ui/config-warnings.tsx";
import { overviewWords } from "../../words/overview.ts";

/** The configuration in force. That a newer file was rejected is said across the page. */
export function ConfigCard({ state: { active } }: { readonly state: ConfigBody }) {
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
          <ConfigWarnings warnings={active.warnings} />
        </details>
      )}
    </section>
  );
}
