import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { connect } from "../store/live.ts";
import { signIn } from "../store/session.ts";
import { shellWords } from "../words/shell.ts";
import { Dialog } from "./dialog.tsx";

interface SignInFormProps {
  readonly onDone: () => void;
  readonly onCancel?: () => void;
}

export function SignInForm({ onDone, onCancel }: SignInFormProps) {
  const words = shellWords.value;
  const problem = useSignal<string | undefined>(undefined);
  const isBusy = useSignal(false);
  const [field, hint] = [useId(), useId()];
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    isBusy.value = true;
    const refused = await signIn(String(new FormData(form).get("token"))).catch(() => words.unreachable);
    isBusy.value = false;
    problem.value = refused === "not-a-token" ? words.notAToken : refused;
    if (refused !== undefined) return;
    connect();
    onDone();
  };
  return (
    <form class="form" onSubmit={(event) => void submit(event)}>
      <label for={field}>{words.token}</label>
      <input id={field} name="token" type="password" autocomplete="current-password" required aria-describedby={hint} />
      <p id={hint} class="hint">
        {words.tokenHint}
      </p>
      {problem.value !== undefined && (
        <p class="error" role="alert">
          {problem.value}
        </p>
      )}
      <div class="actions">
        {onCancel !== undefined && (
          <button type="button" onClick={onCancel}>
            {words.cancel}
          </button>
        )}
        <button type="submit" class="primary" disabled={isBusy.value}>
          {words.signIn}
        </button>
      </div>
    </form>
  );
}

export function SignInDialog({ onClose }: { readonly onClose: () => void }) {
  return (
    <Dialog title={shellWords.value.signIn} onClose={onClose}>
      <SignInForm onDone={onClose} onCancel={onClose} />
    </Dialog>
  );
}
