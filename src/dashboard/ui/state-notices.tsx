import { ago, clock } from "../format/times.ts";
import { config, connection, heardMs, isStale, nowMs } from "../store/live.ts";
import { shellWords } from "../words/shell.ts";
import { CodeBlock } from "./code-block.tsx";
import { Notice } from "./notice.tsx";

/** What holds for every page: a lost connection, old figures, a file that was rejected. */
export function StateNotices() {
  const words = shellWords.value;
  const state = connection.value;
  const heard = heardMs.value;
  const lastError = config.value?.lastError;
  const restartNeeded = config.value?.restartNeeded ?? [];
  // Who has signed out leaves nothing on the screen for the next one.
  if (state.kind === "refused") return null;
  return (
    <div class="notices">
      {(isStale.value || (state.kind === "lost" && heard !== undefined)) && (
        <Notice tone="bad" role="alert">
          {state.kind === "lost" && `${words.lost(state.why)} `}
          {heard !== undefined && (
            <>
              {words.stale(clock(heard))}
              {/* Would be read out anew each second. */}
              <span aria-hidden="true"> ({ago(heard, nowMs.value)})</span>
            </>
          )}
        </Notice>
      )}
      {lastError != null && (
        <Notice tone="bad" role="alert">
          {words.configRejected(clock(lastError.at))}
          <p>
            <code lang="en">{lastError.text.split("\n", 1)[0]}</code>
          </p>
          <details>
            <summary>{words.configProblem}</summary>
            <CodeBlock label={words.configProblem} text={lastError.text} />
          </details>
        </Notice>
      )}
      {restartNeeded.length > 0 && (
        <Notice tone="warn" role="status">
          {words.restartNeeded(restartNeeded.join(", "))}
        </Notice>
      )}
    </div>
  );
}
