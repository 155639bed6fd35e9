import type { Problem } from "./problem.ts";
import { headersOf } from "./session.ts";

export type Answer<T> = { readonly ok: true; readonly body: T } | { readonly ok: false; readonly problem: Problem };

interface Asked {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Asks the server. A server that cannot be reached is a problem like any other, with status 0. */
export async function ask<T>(path: string, { method = "GET", body, headers, signal }: Asked = {}): Promise<Answer<T>> {
  try {
    const answer = await fetch(path, {
      method,
      headers: { ...headersOf(), ...(body && { "content-type": "application/json" }), ...headers },
      cache: "no-store",
      ...(body && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    });
    // A proxy in between answers in its own way.
    if (!/\bjson\b/.test(answer.headers.get("content-type") ?? "")) {
      const detail = `${answer.status} ${answer.statusText}`;
      return { ok: false, problem: { status: answer.status, error: "not-perch", detail } };
    }
    const parsed: unknown = await answer.json();
    return answer.ok ? { ok: true, body: parsed as T } : { ok: false, problem: parsed as Problem };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return { ok: false, problem: { status: 0, error: "unreachable", detail } };
  }
}
