import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import { count } from "../../format/numbers.ts";
import { ask } from "../../store/api.ts";
import { Badge } from "../../ui/badge.tsx";
import { Card } from "../../ui/card.tsx";
import { CodeBlock } from "../../ui/code-block.tsx";
import { InquiryForm } from "../../ui/inquiry-form.tsx";
import { planWords } from "../../words/plan.ts";
import { isTooLarge, type PlanBody } from "./plan-shape.ts";
import { PlanView } from "./plan-view.tsx";

type Result =
  | { readonly kind: "none" }
  | { readonly kind: "asking" }
  | { readonly kind: "answer"; readonly body: PlanBody }
  | { readonly kind: "problem"; readonly message: string };

export function PlanPage() {
  const words = planWords.value;
  const text = useSignal("");
  const isOver = useSignal(false);
  const result = useSignal<Result>({ kind: "none" });
  const asked = useRef<AbortController>(undefined);
  useEffect(() => () => asked.current?.abort(), []);

  const refuse = (message: string) => {
    result.value = { kind: "problem", message };
  };
  const submit = async () => {
    asked.current?.abort();
    if (text.value.trim() === "") return refuse(words.empty);
    if (isTooLarge(text.value)) return refuse(words.tooLarge);
    const controller = new AbortController();
    asked.current = controller;
    result.value = { kind: "asking" };
    const found = await planOf(text.value, controller.signal);
    // Otherwise another plan was asked for since, or the page was left.
    if (!controller.signal.aborted) result.value = found;
  };
  const open = async (file: File | undefined) => {
    if (file === undefined) return;
    // So large a file is not even read.
    if (file.size > 2 * 1024 * 1024) return refuse(words.tooLarge);
    const read = await file.text().catch(() => undefined);
    if (read === undefined) return refuse(words.unreadable(file.name));
    text.value = read;
    result.value = isTooLarge(read) ? { kind: "problem", message: words.tooLarge } : { kind: "none" };
  };
  const picker = useRef<HTMLInputElement>(null);
  const [field, hint] = [useId(), useId()];
  return (
    <>
      <h1>{words.title}</h1>
      <InquiryForm onSubmit={() => void submit()}>
        <label for={field}>{words.config}</label>
        <textarea
          id={field}
          class={isOver.value ? "drop-here" : ""}
          rows={16}
          wrap="off"
          value={text.value}
          spellcheck={false}
          autocomplete="off"
          autocapitalize="off"
          aria-describedby={hint}
          onInput={(event) => (text.value = event.currentTarget.value)}
          onDragOver={(event) => {
            if (!event.dataTransfer?.types.includes("Files")) return;
            event.preventDefault();
            isOver.value = true;
          }}
          onDragLeave={() => (isOver.value = false)}
          onDrop={(event) => {
            isOver.value = false;
            const file = event.dataTransfer?.files[0];
            if (file === undefined) return;
            event.preventDefault();
            void open(file);
          }}
        />
        <p id={hint} class="hint">
          {words.configHint}
        </p>
        <div class="inquiry-submit">
          <button type="submit" class="primary">
            {words.submit}
          </button>
          <button type="button" onClick={() => picker.current?.click()}>
            {words.file}
          </button>
          <input
            ref={picker}
            type="file"
            hidden
            accept=".yaml,.yml,.json,text/plain"
            onChange={(event) => {
              const input = event.currentTarget;
              // The same file may be chosen again after it was edited.
              void open(input.files?.[0]).finally(() => (input.value = ""));
            }}
          />
        </div>
      </InquiryForm>
      <p role="status" class="visually-hidden">
        {statusOf(result.value)}
      </p>
      <ResultView result={result.value} />
    </>
  );
}

async function planOf(config: string, signal: AbortSignal): Promise<Result> {
  const answer = await ask<PlanBody>("/api/plan", { method: "POST", body: { config }, signal });
  if (answer.ok) return { kind: "answer", body: answer.body };
  const { status, detail } = answer.problem;
  if (status === 503) return { kind: "problem", message: `${planWords.value.busy} (${detail})` };
  return { kind: "problem", message: detail };
}

/** What is read out. */
function statusOf(result: Result): string {
  const words = planWords.value;
  if (result.kind === "asking") return words.asking;
  if (result.kind !== "answer") return "";
  return result.body.valid ? words.valid : `${words.rejected}. ${words.invalid(count(result.body.problems.length))}`;
}

function ResultView({ result }: { readonly result: Result }) {
  const words = planWords.value;
  switch (result.kind) {
    case "none":
      return null;
    case "asking":
      return <p class="hint">{words.asking}</p>;
    case "problem":
      return (
        <Card title={words.failed}>
          <p class="error" role="alert">
            {result.message}
          </p>
        </Card>
      );
    case "answer":
      return result.body.valid ? (
        <PlanView warnings={result.body.warnings} plan={result.body.plan} />
      ) : (
        <Problems problems={result.body.problems} />
      );
  }
}

function Problems({ problems }: { readonly problems: readonly string[] }) {
  const words = planWords.value;
  return (
    <Card title={<Badge tone="bad" text={words.rejected} />}>
      <p>{words.invalid(count(problems.length))}</p>
      <CodeBlock label={words.problems} text={problems.join("\n\n")} />
    </Card>
  );
}
