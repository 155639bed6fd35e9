import type { FaultSpec } from "../../route/route-spec.ts";
import type { CompileContext, KnownAttributes } from "../compile-context.ts";
import { defaulted, object, optional, required } from "../schema-kit/object.ts";
import { duration, number } from "../schema-kit/scalars.ts";
import type { Infer } from "../schema-kit/schema.ts";
import { compileCondition, conditionSchema } from "./condition.ts";

const share = number({ what: "a percentage", min: 0, max: 100 });

const target = {
  percent: defaulted("The share of the requests that match when, in per cent, drawn for each request.", share, 100),
  when: optional("A condition that requests must match. Default: all requests.", conditionSchema),
};

const delay = object(
  {
    for: required("How long a request is delayed before it is forwarded.", duration({ minMs: 1, maxMs: 60_000 }), 1),
    ...target,
  },
  { what: "a delay" },
);

const abort = object(
  {
    status: defaulted(
      "The status of the local reply.",
      number({ what: "an error's status", min: 400, max: 599, integer: true }),
      503,
    ),
    ...target,
  },
  { what: "an abort" },
);

/** Fault injection, to test how clients handle failures. */
export const faultSchema = object(
  {
    delay: optional("Delays requests.", delay),
    abort: optional("Replies with an error instead of forwarding the request.", abort),
  },
  { what: "a fault", atLeastOneOf: ["delay", "abort"] },
);

export type FaultConfig = Infer<typeof faultSchema>;

export function compileFault(config: FaultConfig, attributes: KnownAttributes, context: CompileContext): FaultSpec {
  const { delay, abort } = config;
  const targetOf = ({ percent, when }: Pick<NonNullable<typeof delay>, "percent" | "when">) => ({
    percent,
    when: when && compileCondition(when, attributes, context),
  });
  return {
    delay: delay && { ms: delay.for, ...targetOf(delay) },
    abort: abort && { status: abort.status, ...targetOf(abort) },
  };
}
