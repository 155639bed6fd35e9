import { count, fixedPercent } from "../../format/numbers.ts";
import { rolloutOf } from "../../store/live.ts";
import { FirstItems } from "../../ui/first-items.tsx";
import { planWords } from "../../words/plan.ts";
import {
  type CohortPlan,
  cohortsOf,
  type Movement,
  movesApart,
  peopleOf,
  type ReleasePlan,
  sharesOf,
} from "./plan-shape.ts";

/** Who gets what before and after, and who moves. */
export function ReleasePlanCohorts({ plan }: { readonly plan: ReleasePlan }) {
  const words = planWords.value;
  const { shown: all, unmoved } = cohortsOf(plan);
  const users = rolloutOf(plan.release)?.users;
  const knownUsers = users && users.baseline.users + users.candidate.users;
  return (
    <>
      <FirstItems items={all} limit={20}>
        {(shown) => (
          <div class="cohorts">
            {shown.map((cohort) => (
              <Cohort
                key={`${cohort.rule} ${cohort.services.join()}`}
                cohort={cohort}
                plan={plan}
                knownUsers={knownUsers}
              />
            ))}
          </div>
        )}
      </FirstItems>
      {unmoved.length > 0 && unmoved.length <= 10 && <p class="hint">{words.unmoved(unmoved.join(", "))}</p>}
      {unmoved.length > 10 && (
        <details>
          <summary>{words.unmovedCount(count(unmoved.length))}</summary>
          <p class="hint">{unmoved.join(", ")}</p>
        </details>
      )}
    </>
  );
}

interface CohortProps {
  readonly cohort: CohortPlan;
  readonly plan: ReleasePlan;
  readonly knownUsers: number | undefined;
}

function Cohort({ cohort, plan, knownUsers }: CohortProps) {
  const words = planWords.value;
  const who = cohort.rule === null ? words.nobodyMatched : words.matched(cohort.rule);
  const services = cohort.services.length === 0 ? "" : `, ${words.ofServices(cohort.services.join(", "))}`;
  const isApart = movesApart(cohort, plan);
  const stays = plan.whenWeightsChange === "hold" && cohort.pinned.moved === 0 && cohort.byDraw.moved > 0;
  return (
    <div class="cohort">
      <table>
        <caption>
          {who}
          {services}
        </caption>
        <thead>
          <tr>
            <th scope="col">{words.version}</th>
            <th scope="col" class="number">
              {words.before}
            </th>
            <th scope="col" class="number">
              {words.after}
            </th>
          </tr>
        </thead>
        <tbody>
          {sharesOf(cohort).map(({ version, before, after }) => (
            <tr key={version} class={before === after ? "" : "moved"}>
              <th scope="row">{version}</th>
              <td class="number">{fixedPercent(before)}</td>
              <td class="number">
                <span aria-hidden="true">→ </span>
                {fixedPercent(after)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {plan.change !== "unchanged" && (
        <ul class="moves">
          <li>
            {isApart ? words.movedByDraw : words.moved}: <Moved movement={cohort.byDraw} />
            {!isApart && <People cohort={cohort} knownUsers={knownUsers} />}
          </li>
          {isApart && (
            <li>
              {words.movedPinned}: <Moved movement={cohort.pinned} />
              <People cohort={cohort} knownUsers={knownUsers} /> {stays && words.staying}
            </li>
          )}
        </ul>
      )}
    </div>
  );
}

function Moved({ movement: { moved, moves } }: { readonly movement: Movement }) {
  const words = planWords.value;
  if (moved === 0) return <>{words.nobodyMoves}</>;
  const each = moves.map(({ from, to, share }) => words.move(fixedPercent(share), from, to)).join(", ");
  return (
    <>
      <strong>{fixedPercent(moved)}</strong> ({each})
    </>
  );
}

/** Those who came have a pin by now, so that the movement of the pinned is theirs. */
function People({ cohort, knownUsers }: Pick<CohortProps, "cohort" | "knownUsers">) {
  const people = peopleOf(cohort.pinned.moved, cohort, knownUsers);
  if (people === undefined || cohort.pinned.moved === 0) return null;
  return <>: {planWords.value.people(count(people), count(knownUsers))}</>;
}
