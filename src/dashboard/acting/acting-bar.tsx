import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import type { RolloutBody } from "../../admin/rollout-body.ts";
import type { Verb } from "../../rollout/rollouts-api.ts";
import { count, percent } from "../format/numbers.ts";
import { ask } from "../store/api.ts";
import { access, isStale, rolloutOf, takeRollout } from "../store/live.ts";
import { actingWords } from "../words/acting.ts";
import { ChangeDialog, type Reason } from "./change-dialog.tsx";
import { type Effect, effectOf } from "./effects.ts";
import { obstacleTo } from "./possible-changes.ts";

const shown: readonly Verb[] = ["pause", "resume", "step", "promote", "rollback"];

/** What one can do about a release, always in the same place; what cannot be done says why. */
export function ActingBar({ release }: { readonly release: string }) {
  const words = actingWords.value;
  const asked = useSignal<Verb | undefined>(undefined);
  const told = useSignal("");
  const [reasonId, toldId] = [useId(), useId()];
  const rollout = rolloutOf(release);
  const obstacle = (verb: Verb) => obstacleTo(verb, { rollout, access: access.value, isLive: !isStale.value });
  const verbs = obstacle("start") === undefined ? (["start", ...shown] as const) : shown;
  const shared = sharedBy(verbs.map(obstacle));
  return (
    <div class="acting">
      <fieldset class="acting-buttons">
        <legend class="visually-hidden">{words.bar(release)}</legend>
        {verbs.map((verb) => {
          const why = obstacle(verb);
          return (
            <button
              key={verb}
              type="button"
              class={verb === "rollback" ? "danger" : ""}
              // Not `disabled`: the keyboard must reach it to learn why.
              aria-disabled={why !== undefined}
              aria-describedby={why === undefined ? undefined : reasonId}
              title={why && words.obstacles[why]}
              onClick={() => {
                told.value = why === undefined ? "" : words.obstacles[why];
                if (why === undefined) asked.value = verb;
              }}
            >
              {words.verbs[verb]}
            </button>
          );
        })}
      </fieldset>
      <p id={reasonId} class="hint">
        {shared !== undefined && words.obstacles[shared]}
      </p>
      <p id={toldId} role="status" class="hint">
        {told.value !== (shared && words.obstacles[shared]) && told.value}
      </p>
      {asked.value !== undefined && rollout !== undefined && (
        <VerbDialog
          verb={asked.value}
          rollout={rollout}
          onClose={() => {
            asked.value = undefined;
          }}
          onDone={(text) => {
            asked.value = undefined;
            told.value = text;
          }}
        />
      )}
    </div>
  );
}

/** The reason that keeps everything from being done; undefined if something can be, or reasons differ. */
function sharedBy<T>(all: readonly (T | undefined)[]): T | undefined {
  const [first] = all;
  return all.every((each) => each === first) ? first : undefined;
}

interface VerbDialogProps {
  readonly verb: Verb;
  readonly rollout: RolloutBody;
  readonly onClose: () => void;
  readonly onDone: (text: string) => void;
}

function VerbDialog({ verb, rollout, onClose, onDone }: VerbDialogProps) {
  const words = actingWords.value;
  const { release, revision } = rollout;
  // The revision moves while this is open, and what was read before is not what would be done. Once that was said, the
  // newest one counts.
  const seen = useSignal<number | undefined>(revision);
  const failing = rollout.checks.filter(({ verdict }) => verdict === "fail").map(({ name }) => name);
  const change = async ({ why, by }: Reason) => {
    const answer = await ask(`/api/rollouts/${encodeURIComponent(release)}/${verb}`, {
      method: "POST",
      body: { why, ...(by !== undefined && { by }) },
      // What takes the new version away, or keeps it from spreading, must not fail because something else changed.
      ...(verb !== "rollback" && verb !== "pause" && { headers: { "if-match": `"${seen.value ?? revision}"` } }),
    });
    if (!answer.ok && answer.problem.status === 412) seen.value = undefined;
    return answer;
  };
  return (
    <ChangeDialog
      title={words.titles[verb](release)}
      confirm={words.verbs[verb]}
      isDangerous={verb === "rollback"}
      change={change}
      onClose={onClose}
      onDone={(answer) => {
        const { changed, rollout: next } = answer as { readonly changed: boolean; readonly rollout: RolloutBody };
        takeRollout(next);
        onDone(changed ? words.done[verb] : words.nothingChanged);
      }}
    >
      <p class="effect-main">{effectText(effectOf(verb, rollout))}</p>
      {verb === "rollback" && <p>{words.rollbackMore(rollout.candidate)}</p>}
      {verb !== "rollback" && failing.length > 0 && <p class="error">{words.failing(failing.join(", "))}</p>}
    </ChangeDialog>
  );
}

function effectText(effect: Effect): string {
  const words = actingWords.value;
  switch (effect.kind) {
    case "stays":
      return words.stays;
    case "goes-on":
      return words.goesOn;
    case "ring":
      return words.movesRing(effect.title, effect.to);
    case "move": {
      const { users, to, share } = effect;
      const then = share > 0 && share < 1 ? ` ${words.movesTo(percent(share), to)}` : "";
      return `${users === 0 ? words.movesNobody(to) : words.moves(count(users), to)}${then}`;
    }
  }
}
