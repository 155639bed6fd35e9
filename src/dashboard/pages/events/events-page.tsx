import { useComputed, useSignal } from "@preact/signals";
import { count } from "../../format/numbers.ts";
import { log } from "../../store/live.ts";
import { Card } from "../../ui/card.tsx";
import { FirstItems } from "../../ui/first-items.tsx";
import { eventsWords } from "../../words/events.ts";
import { ConfigCard } from "./config-card.tsx";
import { countsOf, filtered, type Kind, kinds } from "./log-filter.ts";
import { LogRow } from "./log-row.tsx";

export function EventsPage() {
  const words = eventsWords.value;
  const chosen = useSignal<ReadonlySet<Kind>>(new Set());
  const text = useSignal("");
  const counts = useComputed(() => countsOf(log.all.value));
  const found = useComputed(() => filtered(log.all.value, chosen.value, text.value));
  const toggle = (kind: Kind) => {
    const next = new Set(chosen.value);
    if (!next.delete(kind)) next.add(kind);
    chosen.value = next;
  };
  const all = log.all.value;
  return (
    <>
      <h1>{words.title}</h1>
      <ConfigCard />
      <Card
        title={words.log}
        aside={<span role="status">{words.shown(count(found.value.length), count(all.length))}</span>}
      >
        <div class="toolbar filters">
          <fieldset class="kinds">
            <legend class="visually-hidden">{words.kindsLabel}</legend>
            {kinds.map((kind) => (
              <button key={kind} type="button" aria-pressed={chosen.value.has(kind)} onClick={() => toggle(kind)}>
                {words.kinds[kind]} <span class="count">{count(counts.value[kind])}</span>
              </button>
            ))}
          </fieldset>
          <label>
            {words.search}
            <input
              type="search"
              value={text.value}
              autocomplete="off"
              spellcheck={false}
              onInput={(event) => (text.value = event.currentTarget.value)}
            />
          </label>
        </div>
        {found.value.length === 0 ? (
          <p class="empty">{all.length === 0 ? words.nothing : words.nothingLeft}</p>
        ) : (
          <FirstItems items={found.value}>
            {(shown) => (
              <ol class="log">
                {shown.map((line) => (
                  <LogRow key={line.id} line={line} />
                ))}
              </ol>
            )}
          </FirstItems>
        )}
      </Card>
    </>
  );
}
