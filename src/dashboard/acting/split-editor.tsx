import { useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import type { LiveRelease } from "../../admin/live/live-bodies.ts";
import type { SplitBody } from "../../admin/rollout-body.ts";
import type { SplitPlan } from "../../plan/split-plan.ts";
import { count, percent } from "../format/numbers.ts";
import { dateAndClock } from "../format/times.ts";
import { type Answer, ask } from "../store/api.ts";
import { access, isStale, releases, rolloutOf, splitOf } from "../store/live.ts";
import { isSignedIn } from "../store/session.ts";
import { Card } from "../ui/card.tsx";
import { Notice } from "../ui/notice.tsx";
import { actingWords } from "../words/acting.ts";
import { ChangeDialog, type Reason } from "./change-dialog.tsx";
import { type Percentages, percentagesOf, sharesOf, splitText, withWeight } from "./split-weights.ts";

const spans = ["15m", "1h", "4h", "24h", ""] as const;

/** Sets the weights of a release by hand, and shows before whom that moves. While a rollout sets them it has no place. */
export function SplitEditor({ release }: { readonly release: string }) {
  const words = actingWords.value;
  const live = releases.value?.find((each) => each.release === release);
  if (live === undefined || live.versions.length < 2) return null;
  const operator = splitOf(release);
  if (live.isDirected && operator === undefined) return null;
  return (
    <Card title={words.split}>
      {operator !== undefined && <CurrentSplit operator={operator} />}
      {live.isDirected ? (
        <p class="hint">{words.splitDirected}</p>
      ) : (
        // Other versions begin it anew.
        <Editor key={live.versions.map(({ version }) => version).join(" ")} live={live} />
      )}
    </Card>
  );
}

function CurrentSplit({ operator }: { readonly operator: SplitBody }) {
  const words = actingWords.value;
  const isAsked = useSignal(false);
  const { release, split, until, by, why } = operator;
  const weights = Object.entries(split).map(([version, weight]) => `${version} ${weight}`);
  const end = until === null ? words.splitForever : words.splitUntil(dateAndClock(until));
  const path = `/api/releases/${encodeURIComponent(release)}/split`;
  return (
    <Notice tone="warn">
      <p>
        {words.splitSet(weights.join(", "), by)}, {end}
      </p>
      {why !== "" && <p>{words.splitWhy(why)}</p>}
      <button
        type="button"
        onClick={() => {
          isAsked.value = true;
        }}
      >
        {words.undo}
      </button>
      {isAsked.value && (
        <ChangeDialog
          title={words.undoTitle(release)}
          confirm={words.undo}
          change={(reason) => ask(path, { method: "DELETE", body: reason })}
          onClose={() => {
            isAsked.value = false;
          }}
          onDone={() => {
            isAsked.value = false;
          }}
        >
          <p class="effect-main">{words.undoEffect}</p>
        </ChangeDialog>
      )}
    </Notice>
  );
}

type Preview = { readonly for: string; readonly answer: Answer<SplitPlan> };

const previewDelayMs = 250;

function Editor({ live }: { readonly live: LiveRelease }) {
  const words = actingWords.value;
  const { release, versions } = live;
  const inForce = percentagesOf(versions);
  const inForceText = splitText(inForce);
  /** The weights being edited, and those that were in force at the last edit. */
  const edited = useSignal<{ readonly weights: Percentages; readonly from: string } | undefined>(undefined);
  const span = useSignal<(typeof spans)[number]>("1h");
  const isAsked = useSignal(false);
  const isSending = useSignal(false);
  const told = useSignal("");
  const weights = edited.value?.weights ?? inForce;
  const isForeign = edited.value !== undefined && edited.value.from !== inForceText && !isSending.value;
  const preview = usePreview(release, weights, inForceText);
  const shares = sharesOf(weights);
  const spanId = useId();
  const isChanged = splitText(weights) !== inForceText;
  const obstacle = isStale.value
    ? words.obstacles.disconnected
    : access.value.change === "no-token-configured"
      ? words.obstacles["no-token-configured"]
      : undefined;
  const path = `/api/releases/${encodeURIComponent(release)}/split`;
  const set = async (reason: Reason) => {
    isSending.value = true;
    const body = { split: weights, ...(span.value !== "" && { for: span.value }), ...reason };
    const answer = await ask(path, { method: "POST", body });
    isSending.value = false;
    if (answer.ok) edited.value = undefined;
    return answer;
  };
  return (
    <div class="split-editor">
      <p class="hint">{words.splitHint}</p>
      {versions.map(({ version }) => (
        <WeightField
          key={version}
          version={version}
          weight={weights[version] ?? 0}
          share={shares?.[version]}
          onChange={(value) => {
            edited.value = { weights: withWeight(weights, version, value), from: inForceText };
          }}
        />
      ))}
      {isForeign && isChanged && <p class="error">{words.splitForeign}</p>}
      <div role="status">
        {isChanged && <Effect release={release} preview={preview} isValid={shares !== undefined} />}
      </div>
      <div class="toolbar">
        <label for={spanId}>
          {words.lasts}
          <select
            id={spanId}
            value={span.value}
            onChange={(event) => {
              span.value = event.currentTarget.value as (typeof spans)[number];
            }}
          >
            {spans.map((each) => (
              <option key={each} value={each}>
                {words.spans[each]}
              </option>
            ))}
          </select>
        </label>
        <button
          type="button"
          class="primary"
          disabled={!isChanged || shares === undefined || obstacle !== undefined}
          onClick={() => {
            isAsked.value = true;
          }}
        >
          {words.setSplit}
        </button>
      </div>
      {obstacle !== undefined && <p class="hint">{obstacle}</p>}
      <p role="status" class="hint">
        {told.value}
      </p>
      {isAsked.value && (
        <ChangeDialog
          title={words.setTitle(release)}
          confirm={words.setSplit}
          change={set}
          onClose={() => {
            isAsked.value = false;
          }}
          onDone={() => {
            isAsked.value = false;
            told.value = words.splitDone;
          }}
        >
          {isForeign && (
            <p class="error" role="alert">
              {words.splitForeign}
            </p>
          )}
          <Effect release={release} preview={preview} isValid />
        </ChangeDialog>
      )}
    </div>
  );
}

interface WeightFieldProps {
  readonly version: string;
  readonly weight: number;
  readonly share: number | undefined;
  readonly onChange: (weight: number) => void;
}

function WeightField({ version, weight, share, onChange }: WeightFieldProps) {
  const label = actingWords.value.weightOf(version);
  const take = (event: { readonly currentTarget: HTMLInputElement }) => {
    const { valueAsNumber } = event.currentTarget;
    // An emptied field shows again what it was.
    onChange(Number.isFinite(valueAsNumber) ? valueAsNumber : weight);
  };
  return (
    <div class="weight">
      <span class="weight-name">{version}</span>
      <input type="range" min="0" max="100" step="0.1" value={weight} aria-label={label} onInput={take} />
      <input type="number" min="0" max="100" step="0.01" value={weight} aria-label={label} onChange={take} />
      <span class="number hint">{percent(share)}</span>
    </div>
  );
}

interface EffectProps {
  readonly release: string;
  readonly preview: Preview | undefined;
  readonly isValid: boolean;
}

function Effect({ release, preview, isValid }: EffectProps) {
  const words = actingWords.value;
  if (!isValid) return <p class="error">{words.noWeight}</p>;
  if (preview === undefined) return <p class="hint">{words.previewing}</p>;
  if (!preview.answer.ok) return <p class="error">{preview.answer.problem.detail}</p>;
  const { moved, moves } = preview.answer.body;
  if (moved === 0) return <p class="effect-main">{words.noMove}</p>;
  const users = rolloutOf(release)?.users;
  const all = users === undefined ? 0 : users.baseline.users + users.candidate.users;
  return (
    <>
      <p class="effect-main">
        {words.moveShare(percent(moved))}
        {all > 0 && ` (${words.moveUsers(count(moved * all), count(all))})`}
      </p>
      <ul class="moves">
        {moves.map(({ from, to, share }) => (
          <li key={`${from} ${to}`}>
            {percent(share)} {from} → {to}
          </li>
        ))}
      </ul>
    </>
  );
}

/** Whom these weights would move; undefined until the server has answered. Asked once the slider rests. */
function usePreview(release: string, weights: Percentages, inForce: string): Preview | undefined {
  const preview = useSignal<Preview | undefined>(undefined);
  const text = splitText(weights);
  // Without a token it may have been refused.
  const isSigned = isSignedIn();
  useEffect(() => {
    if (text === inForce || sharesOf(weights) === undefined) return;
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      const path = `/api/releases/${encodeURIComponent(release)}/split/preview?split=${encodeURIComponent(text)}`;
      const answer = await ask<SplitPlan>(path, { signal: abort.signal });
      if (!abort.signal.aborted) preview.value = { for: text, answer };
    }, previewDelayMs);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [release, text, inForce, isSigned]);
  return preview.value?.for === text ? preview.value : undefined;
}
