import { count } from "../../format/numbers.ts";
import { Badge, type Tone } from "../../ui/badge.tsx";
import { Card } from "../../ui/card.tsx";
import { FirstItems } from "../../ui/first-items.tsx";
import { planWords } from "../../words/plan.ts";
import type { Plan, ReleasePlan, ReloadChange } from "./plan-shape.ts";
import { ReleasePlanCohorts } from "./release-plan-cohorts.tsx";

interface PlanViewProps {
  readonly warnings: readonly string[];
  readonly plan: Plan;
}

export function PlanView({ warnings, plan }: PlanViewProps) {
  const words = planWords.value;
  const { changes, restartNeeded } = plan.reload;
  const moving = plan.releases.filter(({ cohorts }) =>
    cohorts.some(({ byDraw, pinned }) => byDraw.moved > 0 || pinned.moved > 0),
  );
  return (
    <>
      <Card title={<Badge tone="good" text={words.valid} />}>
        <p>{words.summary(count(moving.length), count(changes.length), count(restartNeeded.length))}</p>
        {warnings.length > 0 && (
          <>
            <h3 class="inquiry-heading">{words.warnings}</h3>
            <Sentences texts={warnings} />
          </>
        )}
      </Card>
      {restartNeeded.length > 0 && (
        <Card title={<Badge tone="warn" text={words.restart} />}>
          <Sentences texts={restartNeeded} />
        </Card>
      )}
      <Card title={words.releases} aside={words.units(count(plan.units))}>
        {plan.releases.length === 0 && <p class="hint">{words.noReleases}</p>}
        <FirstItems items={plan.releases} limit={50}>
          {(shown) => shown.map((release) => <ReleaseView key={release.release} plan={release} />)}
        </FirstItems>
      </Card>
      <Card title={words.reload}>
        {changes.length === 0 ? <p class="hint">{words.reloadNothing}</p> : <Changes changes={changes} />}
      </Card>
    </>
  );
}

function Sentences({ texts }: { readonly texts: readonly string[] }) {
  return (
    <ul class="problems">
      {texts.map((text) => (
        <li key={text}>{text}</li>
      ))}
    </ul>
  );
}

const changeTones: Readonly<Record<ReleasePlan["change"], Tone>> = {
  added: "good",
  removed: "bad",
  changed: "warn",
  unchanged: "quiet",
};

function ReleaseView({ plan }: { readonly plan: ReleasePlan }) {
  const words = planWords.value;
  return (
    <section class="planned-release">
      <h3>
        {plan.release} <Badge tone={changeTones[plan.change]} text={words.change[plan.change]} />{" "}
        <span class="hint">{words.pins[plan.whenWeightsChange]}</span>
      </h3>
      {plan.notes.length > 0 && <Sentences texts={plan.notes} />}
      <ReleasePlanCohorts plan={plan} />
    </section>
  );
}

function Changes({ changes }: { readonly changes: readonly ReloadChange[] }) {
  const words = planWords.value;
  return (
    <FirstItems items={changes}>
      {(shown) => (
        <table class="changes">
          <thead>
            <tr>
              <th scope="col">{words.kind}</th>
              <th scope="col">{words.what}</th>
              <th scope="col">{words.name}</th>
              <th scope="col">{words.detail}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map(({ kind, what, name, detail }) => (
              <tr key={`${what} ${name}`}>
                <td class="nowrap">{words.kinds[kind]}</td>
                <td>{what}</td>
                <th scope="row">{name}</th>
                <td>{detail}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </FirstItems>
  );
}
