/** The users that every proxy gets, their requests, and the right version of each response. */

/** A user after the first visit. */
export interface User {
  /** The proxy's own cookie, `name=value`, and perhaps others beside it. */
  readonly pin: string;
  /** The version of the first visit, which must serve every other. */
  readonly version: string;
  /** Whether every request has the headers of the rule. */
  readonly byRule: boolean;
}

export interface PlannedRequest {
  readonly path: string;
  readonly headers: Record<string, string>;
  /** The only right version; undefined for a new visitor, who may draw either. */
  readonly wanted: string | undefined;
}

/** One user in this many matches the rule. */
const ruledOneIn = 20;
const paths = Array.from({ length: 20 }, (_, page) => `/api/items/${page}?sort=price&limit=20`);

/** The version of all users whom the rule matches. */
export const ruleVersion = "canary";

export function matchesRule(user: number): boolean {
  return user % ruledOneIn === 0;
}

/** The headers of a browser's API call, with the pin among the application's cookies. */
export function requestHeaders(user: number, pin: string | undefined): Record<string, string> {
  const session = `session=${(user * 2_654_435_761).toString(36).padStart(16, "0")}`;
  const cookies = pin === undefined ? [session, "theme=dark"] : [session, pin, "theme=dark"];
  return {
    "user-agent":
      "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    accept: "application/json",
    "accept-encoding": "gzip, br",
    "accept-language": "en-GB,en;q=0.9",
    cookie: cookies.join("; "),
    ...(matchesRule(user) ? { "x-user-region": "cn-east", "x-user-registered-at": "2026-03-01T08:00:00Z" } : {}),
  };
}

export function requestPath(user: number): string {
  return paths[user % paths.length] ?? "/";
}

/**
 * Every user's request once, distributed to the connections in sequences. A connection repeats its sequence, so all pins
 * are used before any is used again. One request in `newOneIn` is a new visitor's; undefined for none.
 */
export function planRequests(
  users: readonly User[],
  connections: number,
  newOneIn: number | undefined,
): readonly (readonly PlannedRequest[])[] {
  const requests: PlannedRequest[] = [];
  users.forEach((user, index) => {
    requests.push({ path: requestPath(index), headers: requestHeaders(index, user.pin), wanted: user.version });
    if (newOneIn === undefined || index % (newOneIn - 1) !== 0) return;
    // An index that the rule does not match, so that a new visitor draws.
    const visitor = users.length + index * ruledOneIn + 1;
    requests.push({ path: requestPath(visitor), headers: requestHeaders(visitor, undefined), wanted: undefined });
  });
  const runLength = Math.ceil(requests.length / connections);
  return Array.from({ length: connections }, (_, run) => requests.slice(run * runLength, (run + 1) * runLength));
}
