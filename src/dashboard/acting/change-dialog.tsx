import { signal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import type { Answer } from "../store/api.ts";
import { access } from "../store/live.ts";
import { isSignedIn } from "../store/session.ts";
import { Dialog } from "../ui/dialog.tsx";
import { SignInForm } from "../ui/sign-in.tsx";
import { actingWords } from "../words/acting.ts";
import { shellWords } from "../words/shell.ts";

/** What goes into the audit log with a change. */
export interface Reason {
  readonly why: string;
  readonly by?: string;
}

interface ChangeDialogProps {
  readonly title: string;
  readonly confirm: string;
  readonly isDangerous?: boolean;
  /** Asks the server for it. */
  readonly change: (reason: Reason) => Promise<Answer<unknown>>;
  readonly onDone: (answer: unknown) => void;
  readonly onClose: () => void;
  /** What it does to people. */
  readonly children: ComponentChildren;
}

/** Who acts, for the next time; in memory only. */
const ownName = signal("");

/** The one confirmation of a change: its effect, a reason for the audit log, and signing in where that is missing. */
export function ChangeDialog(props: ChangeDialogProps) {
  const { title, onClose } = props;
  const mustSignIn = access.value.change === "token-needed" && !isSignedIn();
  return (
    <Dialog title={mustSignIn ? shellWords.value.signIn : title} onClose={onClose}>
      {mustSignIn ? <SignInForm onDone={() => {}} onCancel={onClose} /> : <ChangeForm {...props} />}
    </Dialog>
  );
}

function ChangeForm({ confirm, isDangerous, change, onDone, onClose, children }: ChangeDialogProps) {
  const words = actingWords.value;
  const problem = useSignal<string | undefined>(undefined);
  const isBusy = useSignal(false);
  const [why, whyHint, name, nameHint] = [useId(), useId(), useId(), useId()];
  const first = useRef<HTMLInputElement>(null);
  // Where it takes the place of signing in, the focus would be lost with that form.
  useEffect(() => first.current?.focus(), []);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (isBusy.value) return;
    const given = new FormData(event.currentTarget as HTMLFormElement);
    ownName.value = String(given.get("by")).trim();
    isBusy.value = true;
    const answer = await change({
      why: String(given.get("why")).trim(),
      ...(ownName.value !== "" && { by: ownName.value }),
    });
    isBusy.value = false;
    if (answer.ok) {
      onDone(answer.body);
      return;
    }
    const { status, detail, problems = [] } = answer.problem;
    if (status === 412) problem.value = words.changedMeanwhile;
    else if (status === 401) problem.value = words.wrongToken;
    else problem.value = shellWords.value.failed([detail, ...problems].join(" "));
  };
  return (
    <form class="form" onSubmit={(event) => void submit(event)}>
      <div class="effect">{children}</div>
      <label for={why}>{words.reason}</label>
      <input ref={first} id={why} name="why" maxLength={500} autocomplete="off" aria-describedby={whyHint} />
      <p id={whyHint} class="hint">
        {words.reasonHint}
      </p>
      <label for={name}>{words.name}</label>
      <input
        id={name}
        name="by"
        maxLength={64}
        autocomplete="name"
        defaultValue={ownName.value}
        aria-describedby={nameHint}
      />
      <p id={nameHint} class="hint">
        {words.nameHint}
      </p>
      {problem.value !== undefined && (
        <p class="error" role="alert">
          {problem.value}
        </p>
      )}
      <div class="actions">
        <button type="button" onClick={onClose}>
          {shellWords.value.cancel}
        </button>
        <button type="submit" class={isDangerous === true ? "danger" : "primary"} disabled={isBusy.value}>
          {confirm}
        </button>
      </div>
    </form>
  );
}
