import { corsSchema } from "../sections/cors.ts";
import { problemWith } from "./accepts.ts";
import type { Draft, YamlMap } from "./draft.ts";

export interface CorsParts {
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  readonly headers: readonly string[];
  readonly exposed: readonly string[];
  readonly credentials: boolean;
  /** Undefined: browsers decide. */
  readonly maxAgeSeconds: number | undefined;
}

const longestSeconds = 86_400;

/** `cors` of a route, without the origins that it does not know; they are noted. Empty if no origin is left. */
export function corsOf(parts: CorsParts, where: string, draft: Draft): YamlMap {
  const { origins, methods, headers, exposed, credentials, maxAgeSeconds } = parts;
  const usable = origins.filter((one) => problemWith(corsSchema, { allowOrigins: [one] }) === undefined);
  const others = origins.filter((one) => !usable.includes(one));
  if (others.length > 0) draft.note(where, `CORS for the origins ${others.join(", ")}: no equivalent, left out`);
  if (usable.length === 0) return {};
  if (maxAgeSeconds !== undefined && maxAgeSeconds > longestSeconds) {
    draft.note(where, `CORS: preflights are remembered for a day, the maximum, not for ${maxAgeSeconds} s`);
  }
  // For credentials browsers take a lone * for a header's name.
  const named = credentials ? exposed.filter((name) => name !== "*") : exposed;
  return {
    cors: {
      allowOrigins: usable,
      ...(methods.length === 0 ? {} : { allowMethods: methods }),
      ...(headers.length === 0 ? {} : { allowHeaders: headers }),
      ...(named.length === 0 ? {} : { exposeHeaders: named }),
      ...(credentials ? { allowCredentials: true } : {}),
      ...(maxAgeSeconds === undefined ? {} : { maxAge: `${Math.min(maxAgeSeconds, longestSeconds)}s` }),
    },
  };
}
