import { percentage, resourceName, secretPath, unreadable, wordOr } from "../scalars.ts";
import { byShape, list, oneOrMore } from "../schema-kit/collections.ts";
import { defaulted, object, optional, required } from "../schema-kit/object.ts";
import { duration, number, oneOf, ParseError, scalar, text } from "../schema-kit/scalars.ts";
import type { Infer, Schema } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";
import { conditionSchema } from "./condition.ts";

const dayMs = 86_400_000;

const count = (what: string) => number({ what, min: 1, max: 1e9, integer: true });

/** What YAML reads as a number or a boolean (core schema), so that other programs would get another id. */
const notText =
  /^(?:[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|0o[0-7]+|0x[0-9A-Fa-f]+|true|True|TRUE|false|False|FALSE)$/;

const idText = scalar({
  what: "a rollout's id",
  parse: (written) =>
    /^[A-Za-z0-9._-]{1,63}$/.test(written)
      ? written
      : new ParseError(
          `${quote(written)} is not a rollout's id: use letters, digits, dots, dashes and underscores, at most 63 characters`,
        ),
  json: { type: "string", pattern: "^[A-Za-z0-9._-]{1,63}$" },
});

const rolloutId: Schema<string> = {
  read(node, parsing) {
    if (node.kind === "scalar" && node.plain && !node.replaced && notText.test(node.text)) {
      const message = `the id ${node.text} is not a text: other programs read 2.10 as 2.1`;
      return parsing.error(node.span, "wrong-type", message, `quote it: "${node.text}"`);
    }
    return idText.read(node, parsing);
  },
  json: (definitions) => idText.json(definitions),
};

/** Problem texts do not quote the URL: those of chats contain a secret. */
function httpUrl(what: string, example: string): Schema<string> {
  return scalar({
    what: `${what} such as ${example}`,
    parse(written) {
      const url = /^https?:\/\/[!-~]+$/i.test(written) ? URL.parse(written) : null;
      if (url === null) return new ParseError(`this is not ${what}`, `write it as in ${example}`);
      if (url.username !== "" || url.password !== "") return new ParseError(`${what} cannot contain credentials`);
      return url.hash === "" ? url.href : new ParseError("the URL has a fragment, which would not be sent");
    },
    json: { type: "string", pattern: "^[Hh][Tt][Tt][Pp][Ss]?://[^#\\s]+$" },
  });
}

/** The query API is below it, so the URL must not have a query. */
const prometheusUrl: Schema<string> = {
  read(node, parsing) {
    const url = httpUrl("the URL of a Prometheus server", "http://prometheus:9090").read(node, parsing);
    if (typeof url !== "string" || !url.includes("?")) return url;
    return parsing.error(
      node.span,
      "bad-value",
      "the URL of a Prometheus server cannot have a query",
      "write the query in query",
    );
  },
  json: () => ({ type: "string", pattern: "^[Hh][Tt][Tt][Pp][Ss]?://[^#?\\s]+$" }),
};

export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

const failingStatus: Schema<StatusRange> = scalar({
  what: "statuses such as 5xx or 429",
  parse(written) {
    const [, digit, from, to = from] = /^(?:([345])xx|([345]\d\d)(?:-([345]\d\d))?)$/.exec(written) ?? [];
    if (digit !== undefined) return { from: Number(`${digit}00`), to: Number(`${digit}99`) };
    if (from === undefined) {
      const suggestion = "write it as in 5xx, 429 or 500-504, from 300 to 599";
      return new ParseError(`${quote(written)} is no status of a failure`, suggestion);
    }
    if (from === "499" && to === "499") {
      return new ParseError("499 never counts: it says that the client gave up", "remove it");
    }
    // Both have three digits, so strings compare like numbers.
    return from <= `${to}`
      ? { from: Number(from), to: Number(to) }
      : new ParseError(`${written} ends before it starts`);
  },
  json: {
    anyOf: [
      { type: "integer", minimum: 300, maximum: 599 },
      { type: "string", pattern: "^(?:[345]xx|[345]\\d\\d(?:-[345]\\d\\d)?)$" },
    ],
  },
});

const weightStep = object(
  {
    when: optional(
      "The ring: the weight applies to users who match the condition; all others keep theirs. Default: all users.",
      conditionSchema,
    ),
    weight: required(
      "The candidate's share, in per cent, of those who are drawn to baseline or candidate.",
      number({ what: "a weight", min: 0, max: 100 }),
    ),
    hold: required(
      "How long the step takes at least. Pauses do not count.",
      duration({ minMs: 0, maxMs: 365 * dayMs }),
    ),
    atLeast: optional(
      "What must be seen before the step ends. Default: nothing.",
      object({ users: required("Drawn users of the candidate.", count("a number of users")) }, { what: "atLeast" }),
    ),
  },
  { what: "a step" },
);

const pauseOrWeight = byShape("pause, or a step with weight and hold", { scalar: oneOf(["pause"]), map: weightStep });

const step: typeof pauseOrWeight = {
  read(node, parsing) {
    const pause = node.kind === "map" ? node.entries.find(({ key }) => key === "pause") : undefined;
    if (pause === undefined) return pauseOrWeight.read(node, parsing);
    return parsing.error(pause.keySpan, "unknown-key", "a pause is a word, not a key", "write - pause");
  },
  json: (definitions) => pauseOrWeight.json(definitions),
};

const share = percentage({ min: 0.001, max: 99 });

const prometheus = object(
  {
    url: required("The Prometheus server.", prometheusUrl),
    query: required("A query in PromQL with one value.", text({ what: "a query", minLength: 1, maxLength: 16_384 })),
    atLeast: optional("A value below it is bad.", number({ min: -1e15, max: 1e15 })),
    atMost: optional("A value above it is bad.", number({ min: -1e15, max: 1e15 })),
  },
  { what: "prometheus", atLeastOneOf: ["atLeast", "atMost"] },
);

const webhook = object(
  { url: required("It is asked by POST; a 2xx status lets the step begin.", httpUrl("a URL", "http://ci/smoke")) },
  { what: "webhook" },
);

const check = object(
  {
    name: required("The check's name, unique within its rollout.", resourceName, unreadable),
    metric: optional(
      "What makes a response bad: it failed (errors), or it took too long (slow). The users who get one are compared.",
      oneOf(["errors", "slow"]),
    ),
    over: optional(
      "With metric: slow: the duration above which an answer is slow; p95: that of the baseline's answers.",
      wordOr("p95", duration({ minMs: 1, maxMs: 3_600_000 })),
    ),
    atMost: optional("With metric: the share of the candidate's users who may get a bad response, as in 5%.", share),
    margin: optional(
      "With metric: by how much that share may exceed the baseline's, as in 1%. The step waits until a larger difference is ruled out.",
      share,
    ),
    prometheus: optional("A query whose value is compared with limits.", prometheus),
    webhook: optional("A gate that is asked before steps begin.", webhook),
    beforeStep: optional(
      "With webhook: the only step, from 1, that waits for it. Default: every step.",
      number({ what: "a step's number", min: 1, max: 1_000, integer: true }),
    ),
    every: optional(
      "How often it is asked. Default: 1m with prometheus, 10s with webhook.",
      duration({ minMs: 1_000, maxMs: dayMs }),
    ),
    failures: optional(
      "With prometheus: consecutive bad values that fail the check. Default: 3.",
      number({ what: "a number of values", min: 1, max: 100, integer: true }),
    ),
  },
  { what: "a check", exactlyOneOf: ["metric", "prometheus", "webhook"] },
);

const caps = object(
  {
    users: optional("Drawn users of the candidate.", count("a number of users")),
    failures: optional("Drawn users of the candidate who got an error.", count("a number of users")),
    requestsPerSecond: optional("Requests to the candidate.", count("a rate")),
  },
  { what: "caps", atLeastOneOf: ["users", "failures", "requestsPerSecond"] },
);

const notify = object(
  {
    url: required("Every transition is posted to it, as JSON.", httpUrl("a URL", "https://chat.example.com/hook")),
    secretFile: optional(
      "A file of secrets that sign the posts, one per line, at least 32 bytes each: the first signs. Default: unsigned.",
      secretPath,
    ),
  },
  { what: "a notification" },
);

export const rolloutSchema = object(
  {
    id: required("Names the rollout. A new id is a new rollout, a known one goes on where it was.", rolloutId),
    candidate: required("The version that is on trial.", resourceName, unreadable),
    baseline: optional(
      "The version that it is compared with. Default: the default version of the release's services.",
      resourceName,
    ),
    start: defaulted("Whether it starts automatically.", oneOf(["auto", "manual"]), "auto"),
    command: defaulted("Obeyed when it changes.", oneOf(["run", "pause", "rollback"]), "run"),
    steps: required(
      "Weights of the candidate, one after the other; pause waits for a person.",
      list(step, { of: "steps", min: 1, max: 1_000 }),
      [],
    ),
    // biome-ignore lint/suspicious/noThenProperty: the key of the file; no such object is ever awaited.
    then: defaulted(
      "After the last hold: all users get the candidate (complete), or the rollout waits for a command (pause).",
      oneOf(["complete", "pause"]),
      "complete",
    ),
    checks: defaulted(
      "Questions that are asked of both versions all the time.",
      list(check, { of: "checks", min: 1 }),
      [{ name: "errors", metric: "errors" }],
    ),
    falseAlarm: defaulted(
      "The probability that a candidate as good as the baseline is found worse, over the whole rollout and all checks.",
      percentage({ min: 0.001, max: 50 }),
      "1%",
    ),
    onFail: defaulted("What a failed check or a reached cap does.", oneOf(["rollback", "pause"]), "rollback"),
    drift: defaulted(
      "What happens if the shares of users are not as drawn: clients that drop cookies, a candidate that loses its users.",
      oneOf(["off", "warn", "fail"], { false: "off" }),
      "warn",
    ),
    failures: defaulted(
      "Statuses of failed answers: 5xx, 429, 500-504. Cut transfers and failed gRPC calls always are.",
      oneOrMore(failingStatus, "statuses"),
      ["5xx"],
    ),
    caps: optional("What the candidate may cost while it is on trial. Reaching one is a failure. Default: none.", caps),
    notify: defaulted("Who hears of every transition.", list(notify, { of: "notifications", max: 16 }), []),
  },
  { what: "a rollout" },
);

export type RolloutConfig = Infer<typeof rolloutSchema>;
export type StepConfig = RolloutConfig["steps"][number];
export type CheckConfig = RolloutConfig["checks"][number];
