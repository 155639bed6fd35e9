import { type Check, compileCondition, requesterSubjects } from "./check.ts";
import { Draw } from "./draw.ts";
import type { RuleSpec } from "./release.ts";

/** A rule, prepared for requests. */
export interface Rule {
  readonly name: string;
  readonly check: Check;
  /** Draws by the rule's weights; a rule with a plain `use` is a draw with one version. */
  readonly draw: Draw;
  /** Whether `use` names weights: only such a draw can be replaced by a held pin. */
  readonly isWeighted: boolean;
  /** Whether the condition reads anything about the requester; only then is there something to remember. */
  readonly asksRequester: boolean;
}

export function prepareRule(spec: RuleSpec, release: string, salt: string): Rule {
  const isWeighted = typeof spec.use !== "string";
  return {
    name: spec.name,
    check: compileCondition(spec.when, release, spec.name),
    draw: new Draw(release, salt, typeof spec.use === "string" ? { [spec.use]: 1 } : spec.use),
    isWeighted,
    asksRequester: requesterSubjects(spec.when).length > 0,
  };
}
