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
  return (
    <div class="notices">
      {(isStale.value || (state.kind === "lost" && heard !== undefined)) && (
        <Notice tone="bad" role="alert">
          {state.kind === "lost" && `${words.lost(state.why)} `}
          {heard !== undefined && words.stale(clock(heard), ago(heard, nowMs.value))}
        </Notice>
      )}
      {lastError != null && (
        <Notice tone="bad" role="alert">
          {words.configRejected(clock(lastError.at))}
          <p>
            <code>{lastError.text.split("\n", 1)[0]}</code>
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
