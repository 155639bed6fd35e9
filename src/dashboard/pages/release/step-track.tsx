import type { RolloutBody } from "../../../admin/rollout-body.ts";
import { count } from "../../format/numbers.ts";
import { span } from "../../format/times.ts";
import { Bar } from "../../ui/bar.tsx";
import { Card } from "../../ui/card.tsx";
import { Prose } from "../../ui/prose.tsx";
import { stepTitle } from "../../words/describe-rollout.ts";
import { language } from "../../words/language.ts";
import { overviewWords } from "../../words/overview.ts";
import { releaseWords } from "../../words/release.ts";
import { holdProgress, isOver, type Step, waitsFor } from "./step-progress.ts";

const marks = { done: "✓", current: "▸", stopped: "✕", next: "○" } as const;

/** The plan from left to right: what is done, what is now and what it waits for, what comes. */
export function StepTrack({ rollout }: { readonly rollout: RolloutBody }) {
  const words = releaseWords.value;
  const { step, steps } = rollout;
  return (
    <Card title={words.steps} aside={step > 0 && overviewWords.value.steps(step, steps.length)}>
      <ol class="track">
        {steps.map((each, index) => (
          <StepItem key={`${index} ${each.title}`} step={each} number={index + 1} rollout={rollout} />
        ))}
      </ol>
    </Card>
  );
}

interface StepItemProps {
  readonly step: Step;
  readonly number: number;
  readonly rollout: RolloutBody;
}

function StepItem({ step, number, rollout }: StepItemProps) {
  const words = releaseWords.value;
  const isCurrent = step.state === "current" && !isOver(rollout);
  const state = step.state === "current" && !isCurrent ? "stopped" : step.state;
  const waits = isCurrent ? waitsFor(rollout) : undefined;
  return (
    <li class={`track-step track-${state}`} {...(isCurrent && { "aria-current": "step" })}>
      <Bar share={holdProgress(step)} tone={step.state === "done" ? "good" : "plain"} />
      <h3>
        <span aria-hidden="true">{marks[state]}</span> {number}.{" "}
        {language.value === "zh" ? stepTitle(step.title) : step.title}
      </h3>
      <p class="hint">{words.stepState[state]}</p>
      <p>{holdText(step)}</p>
      {step.atLeastUsers > 0 && (
        <p>
          {isCurrent
            ? words.usersSeen(count(rollout.stepUsers.candidate), count(step.atLeastUsers))
            : words.usersWanted(count(step.atLeastUsers))}
        </p>
      )}
      {waits !== undefined && (
        <p class="waits">
          {words.waits}: <Prose text={waits} />
        </p>
      )}
    </li>
  );
}

function holdText({ weight, state, holdMs, heldMs }: Step): string {
  const words = releaseWords.value;
  if (weight === null) return words.untilResumed;
  if (state === "done") return words.wasHeld(span(heldMs));
  return state === "current" ? words.held(span(Math.min(heldMs, holdMs)), span(holdMs)) : words.holds(span(holdMs));
}
