import type { RolloutBody } from "../../../admin/rollout-body.ts";
import { count, percent, unknown } from "../../format/numbers.ts";
import { clock } from "../../format/times.ts";
import { Bar } from "../../ui/bar.tsx";
import { Card } from "../../ui/card.tsx";
import { Prose } from "../../ui/prose.tsx";
import { checkWords } from "../../words/checks.ts";
import { locale } from "../../words/language.ts";
import { type Check, comparisonOf, isEValue, powerOfTen, progressOf } from "./check-evidence.ts";
import { VerdictBadge } from "./verdict-badge.tsx";

export function Checks({ rollout }: { readonly rollout: RolloutBody | undefined }) {
  const words = checkWords.value;
  const checks = rollout?.checks ?? [];
  return (
    <Card title={words.title}>
      {checks.length === 0 && <p class="hint">{rollout === undefined ? words.noRollout : words.none}</p>}
      <ul class="checks">
        {rollout !== undefined && checks.map((check) => <CheckItem key={check.name} check={check} rollout={rollout} />)}
      </ul>
    </Card>
  );
}

function CheckItem({ check, rollout }: { readonly check: Check; readonly rollout: RolloutBody }) {
  const words = checkWords.value;
  const { name, metric, verdict, at, why, limit, interval, evidence } = check;
  const progress = progressOf(check);
  const sentence = sentenceOf(check, rollout.candidate);
  const value = interval === null ? evidence : undefined;
  return (
    <li class={`check check-${verdict}`}>
      <div class="check-head">
        <VerdictBadge verdict={verdict} />
        <h3>{name}</h3>
        {words.metrics[metric] !== name && <span class="hint">{words.metrics[metric]}</span>}
        {at !== null && <span class="hint check-since">{words.since(clock(at))}</span>}
      </div>
      {(limit !== null || evidence !== null) && (
        <p class="check-values">
          {interval !== null && (
            <span>
              {words.interval} <strong>{`${percent(interval[0])} … ${percent(interval[1])}`}</strong>
            </span>
          )}
          {value != null && (
            <span>
              {isEValue(check) ? words.evidence : words.value} <strong>{valueText(check, value)}</strong>
            </span>
          )}
          <span>
            {words.limit} <strong>{interval === null ? valueText(check, limit) : percent(limit)}</strong>
          </span>
        </p>
      )}
      {progress !== undefined && <Bar share={progress} tone={verdict === "fail" ? "bad" : "plain"} />}
      <p lang="en">
        <Prose text={why} />
      </p>
      {sentence !== "" && <p class="hint">{sentence}</p>}
    </li>
  );
}

/** From here a power of ten says as much as the figure. */
const large = 1e6;

function valueText(check: Check, value: number | null): string {
  if (value === null) return unknown;
  if (!isEValue(check)) return value.toLocaleString(locale.value, { maximumSignificantDigits: 6 });
  if (value >= large) return `≥ ${powerOfTen(value)}`;
  return value.toLocaleString(locale.value, { maximumSignificantDigits: value < 100 ? 2 : 4 });
}

/** What else there is to say of a comparison; empty if nothing. */
function sentenceOf(check: Check, candidate: string): string {
  const { compared, byChance } = checkWords.value;
  const seen = comparisonOf(check);
  if (seen === undefined) return "";
  const times = seen.oneIn;
  return [
    compared?.(count(seen.badOnCandidate), count(seen.bad), candidate),
    times === undefined ? "" : byChance(candidate, times >= large ? powerOfTen(times) : count(Math.floor(times))),
  ].join("");
}
