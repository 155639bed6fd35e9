import type { ConfigBody } from "../../../admin/api.ts";
import { ago, clock, dateAndClock } from "../../format/times.ts";
import { config, serverNowMs } from "../../store/live.ts";
import { Badge } from "../../ui/badge.tsx";
import { Card } from "../../ui/card.tsx";
import { CodeBlock } from "../../ui/code-block.tsx";
import { ConfigWarnings } from "../../ui/config-warnings.tsx";
import { eventsWords } from "../../words/events.ts";

/** As many as the log has. */
const hashDigits = 12;

/** What the last reload did. */
export function ConfigCard() {
  const words = eventsWords.value;
  const known = config.value;
  if (known === undefined) {
    return (
      <Card title={words.configuration}>
        <p class="hint">{words.unknownConfig}</p>
      </Card>
    );
  }
  const { active, lastError } = known;
  return (
    <Card title={words.configuration} class="config-state">
      <dl class="facts">
        <div>
          <dt>{words.state}</dt>
          <dd>
            {lastError === null ? (
              <>
                <Badge tone="good" text="OK" /> {words.fine}
              </>
            ) : (
              <>
                <Badge tone="bad" text={words.rejected} /> {words.rejectedAt(clock(lastError.at))}
              </>
            )}
          </dd>
        </div>
        <div>
          <dt>{words.file}</dt>
          <dd>{active.file === null ? words.noFile : <code>{active.file}</code>}</dd>
        </div>
        <div>
          <dt>{words.hash}</dt>
          <dd>
            <code title={active.hash}>{active.hash.slice(0, hashDigits)}</code>
          </dd>
        </div>
        <div>
          <dt>{words.loaded}</dt>
          <dd>
            {dateAndClock(active.loadedAt)} <Ago moment={active.loadedAt} />
          </dd>
        </div>
      </dl>
      {lastError !== null && <CodeBlock label={words.problem} text={lastError.text} />}
      <Warnings warnings={active.warnings} />
    </Card>
  );
}

/** On its own, so that only it is drawn again each second. */
function Ago({ moment }: { readonly moment: string }) {
  return <span class="hint">({ago(moment, serverNowMs.value)})</span>;
}

function Warnings({ warnings }: Pick<ConfigBody["active"], "warnings">) {
  if (warnings.length === 0) return null;
  return (
    <details>
      <summary>
        {eventsWords.value.warnings} ({warnings.length})
      </summary>
      <ConfigWarnings warnings={warnings} />
    </details>
  );
}
