import { computed, useComputed } from "@preact/signals";
import type { LiveRelease } from "../../../admin/live/live-bodies.ts";
import { count } from "../../format/numbers.ts";
import { ago } from "../../format/times.ts";
import { ruleHits, serverNowMs } from "../../store/live.ts";
import { Card } from "../../ui/card.tsx";
import { FirstItems } from "../../ui/first-items.tsx";
import { releaseWords } from "../../words/release.ts";

const calmMs = 10_000;

/** Ages of a thousand hits do not need to be told every second. */
const calmNowMs = computed(() => Math.ceil(serverNowMs.value / calmMs) * calmMs);

export function Rules({ release: { release, rules } }: { readonly release: LiveRelease }) {
  const words = releaseWords.value;
  return (
    <Card title={words.rules} aside={rules.length > 0 && words.firstMatches}>
      {rules.length === 0 ? (
        <p class="hint">{words.noRules}</p>
      ) : (
        <FirstItems items={rules}>
          {(shown) => (
            <table class="rules">
              <thead>
                <tr>
                  <th scope="col">{words.rule}</th>
                  <th scope="col">{words.use}</th>
                  <th scope="col" class="number">
                    {words.hits}
                  </th>
                  <th scope="col" class="number">
                    {words.lastHit}
                  </th>
                </tr>
              </thead>
              <tbody>
                {shown.map((rule) => (
                  <RuleRow key={rule.rule} release={release} rule={rule} />
                ))}
              </tbody>
            </table>
          )}
        </FirstItems>
      )}
    </Card>
  );
}

interface RuleRowProps {
  readonly release: string;
  readonly rule: LiveRelease["rules"][number];
}

/** Only its two figures update, each separately, so that a thousand rows are not rendered again. */
function RuleRow({ release, rule: { rule, when, use } }: RuleRowProps) {
  const known = useComputed(() => ruleHits.value[release]?.[rule]);
  const hits = useComputed(() => count(known.value?.[0] ?? 0));
  const lastHit = useComputed(() => {
    const lastMs = known.value?.[1];
    return lastMs == null ? releaseWords.value.never : ago(lastMs, Math.max(lastMs, calmNowMs.value));
  });
  return (
    <tr>
      <th scope="row">
        {rule}
        <code class="condition">{when}</code>
      </th>
      <td>{use}</td>
      <td class="number">{hits}</td>
      <td class="number">{lastHit}</td>
    </tr>
  );
}
