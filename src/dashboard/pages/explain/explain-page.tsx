import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import type { Explanation } from "../../../proxy/explain/explain.ts";
import { count } from "../../format/numbers.ts";
import { ask } from "../../store/api.ts";
import type { Problem } from "../../store/problem.ts";
import { Card } from "../../ui/card.tsx";
import { InquiryForm } from "../../ui/inquiry-form.tsx";
import { explainWords } from "../../words/explain.ts";
import { type ExplainBody, explainQuestion, maxBytes } from "./explain-question.ts";
import { ExplanationView } from "./explanation-view.tsx";
import { type Pasted, parseRequest } from "./parse-request.ts";

type Result =
  | { readonly kind: "none" }
  | { readonly kind: "asking" }
  | { readonly kind: "explained"; readonly explanation: Explanation }
  | { readonly kind: "problem"; readonly message: string; readonly problems: readonly string[] };

export function ExplainPage() {
  const words = explainWords.value;
  const text = useSignal("");
  const url = useSignal("");
  const client = useSignal("");
  const result = useSignal<Result>({ kind: "none" });
  const pasted = useComputed(() => parseRequest(text.value));
  const asked = useRef<AbortController>(undefined);
  useEffect(() => () => asked.current?.abort(), []);

  const submit = async () => {
    const question = questionOf(pasted.value, url.value.trim(), client.value.trim());
    asked.current?.abort();
    if (question.kind === "problem") {
      result.value = question;
      return;
    }
    const controller = new AbortController();
    asked.current = controller;
    result.value = { kind: "asking" };
    const answer = await ask<Explanation>("/api/explain", {
      method: "POST",
      body: question.body,
      signal: controller.signal,
    });
    // Another one was asked since, or the page was left.
    if (controller.signal.aborted) return;
    result.value = answer.ok ? { kind: "explained", explanation: answer.body } : problemOf(answer.problem);
  };
  const [field, hint, privacy] = [useId(), useId(), useId()];
  return (
    <>
      <h1>{words.title}</h1>
      <InquiryForm onSubmit={() => void submit()}>
        <label for={field}>{words.request}</label>
        <textarea
          id={field}
          rows={9}
          value={text.value}
          spellcheck={false}
          autocomplete="off"
          autocapitalize="off"
          aria-describedby={`${hint} ${privacy}`}
          onInput={(event) => (text.value = event.currentTarget.value)}
        />
        <p id={hint} class="hint">
          {words.requestHint}
        </p>
        <Recognised pasted={pasted.value} />
        <div class="inquiry-fields">
          {pasted.value.kind === "request" && pasted.value.request.url === undefined && (
            <TextField
              label={words.url}
              hint={words.urlHint}
              type="url"
              value={url.value}
              onInput={(value) => (url.value = value)}
            />
          )}
          <TextField
            label={words.client}
            hint={words.clientHint}
            type="text"
            value={client.value}
            onInput={(value) => (client.value = value)}
          />
        </div>
        <div class="inquiry-submit">
          <button type="submit" class="primary">
            {words.submit}
          </button>
          <p id={privacy} class="hint">
            {words.privacy}
          </p>
        </div>
      </InquiryForm>
      <p role="status" class="visually-hidden">
        {statusOf(result.value)}
      </p>
      <ResultView result={result.value} />
    </>
  );
}

type Question = { readonly kind: "ask"; readonly body: ExplainBody } | Extract<Result, { kind: "problem" }>;

function questionOf(pasted: Pasted, url: string, client: string): Question {
  const words = explainWords.value;
  const problem = (message: string, problems: readonly string[] = []) =>
    ({ kind: "problem", message, problems }) as const;
  if (pasted.kind === "nothing") return problem(words.nothing);
  if (pasted.kind === "unclear") return problem(words.why[pasted.why]);
  const wanted = pasted.request.url ?? url;
  if (wanted === "") return problem(words.urlMissing);
  const asked = explainQuestion(pasted.request, wanted, client);
  if (asked.kind === "body") return { kind: "ask", body: asked.body };
  const { bytes, largest } = asked;
  const kilobytes = (value: number) => count(Math.ceil(value / 1024));
  return problem(
    words.tooLarge(kilobytes(bytes), kilobytes(maxBytes)),
    largest.length === 0 ? [] : [words.largest(largest.join(", "))],
  );
}

function problemOf({ detail, problems = [] }: Problem): Result {
  return { kind: "problem", message: detail, problems };
}

/** What the text was read as, while it is written. */
function Recognised({ pasted }: { readonly pasted: Pasted }) {
  const words = explainWords.value;
  if (pasted.kind === "nothing") return null;
  if (pasted.kind === "unclear") return <p class="error">{words.why[pasted.why]}</p>;
  const { form, method, url, headers, cookies, notes } = pasted.request;
  return (
    <div class="recognised">
      <p>
        {words.recognised(words.forms[form], count(headers.length), count(cookies.length))}
        {url !== undefined && (
          <>
            {" · "}
            <code>
              {method} {url}
            </code>
          </>
        )}
      </p>
      {notes.length > 0 && (
        <ul>
          {notes.map(({ kind, names }) => (
            <li key={kind}>{words.notes[kind](names.join(", "))}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

interface TextFieldProps {
  readonly label: string;
  readonly hint: string;
  readonly type: "url" | "text";
  readonly value: string;
  readonly onInput: (value: string) => void;
}

function TextField({ label, hint, type, value, onInput }: TextFieldProps) {
  const [field, described] = [useId(), useId()];
  return (
    <div class="form">
      <label for={field}>{label}</label>
      <input
        id={field}
        type="text"
        inputMode={type}
        autocomplete="off"
        spellcheck={false}
        value={value}
        aria-describedby={described}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      <p id={described} class="hint">
        {hint}
      </p>
    </div>
  );
}

/** What is read out: the trail would take minutes. */
function statusOf(result: Result): string {
  const words = explainWords.value;
  if (result.kind === "asking") return words.asking;
  if (result.kind !== "explained") return "";
  const { served, error } = result.explanation;
  return `${words.answer}: ${served ?? error?.code ?? words.noVersion}`;
}

function ResultView({ result }: { readonly result: Result }) {
  const words = explainWords.value;
  switch (result.kind) {
    case "none":
      return null;
    case "asking":
      return <p class="hint">{words.asking}</p>;
    case "explained":
      return <ExplanationView explanation={result.explanation} />;
    case "problem":
      return (
        <Card title={words.failed}>
          <p class="error" role="alert">
            {result.message}
          </p>
          {result.problems.length > 0 && (
            <ul class="problems">
              {result.problems.map((problem) => (
                <li key={problem}>{problem}</li>
              ))}
            </ul>
          )}
        </Card>
      );
  }
}
