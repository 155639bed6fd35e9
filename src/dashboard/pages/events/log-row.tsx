import { clock, dateAndClock } from "../../format/times.ts";
import { linkTo } from "../../places.ts";
import type { LogLine } from "../../store/log-lines.ts";
import { Badge, type Tone } from "../../ui/badge.tsx";
import { CodeBlock } from "../../ui/code-block.tsx";
import { Prose } from "../../ui/prose.tsx";
import { eventsWords } from "../../words/events.ts";

const tones: Readonly<Record<LogLine["level"], Tone>> = { info: "info", warn: "warn", error: "bad" };

/** One thing that happened. */
export function LogRow({ line }: { readonly line: LogLine }) {
  const words = eventsWords.value;
  const { at, level, kind, type, release, text, by, detail } = line;
  return (
    <li class="log-row">
      <time dateTime={at}>{isToday(at) ? clock(at) : dateAndClock(at)}</time>
      <span class="log-level">
        <Badge tone={tones[level]} text={words.levels[level]} />
      </span>
      <div class="log-text">
        <p>
          {kind === "rollout" && <strong>{words.rollout[type] ?? type}: </strong>}
          <span lang="en">
            <Prose text={text} />
          </span>
        </p>
        <p class="hint">
          {words.kinds[kind]}
          {release !== null && (
            <>
              {" · "}
              <a href={linkTo({ page: "release", release })}>{release}</a>
            </>
          )}
          {by !== null && ` · ${words.by(by)}`}
        </p>
        {detail !== null && (
          <details>
            <summary>{words.detail}</summary>
            <CodeBlock label={words.detail} text={detail} />
          </details>
        )}
      </div>
    </li>
  );
}

function isToday(at: string): boolean {
  return new Date(at).toDateString() === new Date().toDateString();
}
