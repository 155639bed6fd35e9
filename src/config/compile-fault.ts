import type { FaultSpec } from "../route/fault-spec.ts";
import { compileCondition } from "./compile-condition.ts";
import type { CompileContext } from "./compile-context.ts";
import type { FaultConfig } from "./fault-schema.ts";
import type { KnownAttributes } from "./known-attributes.ts";

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
