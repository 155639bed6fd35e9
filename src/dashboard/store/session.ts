import { signal } from "@preact/signals";
import type { Problem } from "./problem.ts";

/** The admin token, in memory only: never in the URL or in browser storage, and lost when the page closes. */
const token = signal<string | undefined>(undefined);

export const isSignedIn = () => token.value !== undefined;

export function headersOf(): Record<string, string> {
  return token.value === undefined ? {} : { authorization: `Bearer ${token.value}` };
}

export interface Access {
  /** How the audit log names the token that was sent. */
  readonly caller: string | null;
  readonly change: "allowed" | "token-needed" | "no-token-configured";
}

/** Takes the token if the server does. Returns why it does not. */
export async function signIn(text: string): Promise<string | undefined> {
  const given = text.trim();
  // Anything else cannot be in a header, and so is no token.
  if (!/^[\x21-\x7e]+$/.test(given)) return "not-a-token";
  const answer = await fetch("/api/access", { headers: { authorization: `Bearer ${given}` }, cache: "no-store" });
  if (!answer.ok) return ((await answer.json()) as Problem).detail;
  token.value = given;
  return undefined;
}

export function signOut(): void {
  token.value = undefined;
}
