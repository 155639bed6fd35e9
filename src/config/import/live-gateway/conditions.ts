/** A condition of a status, without what the time of its writing adds. */
export interface Condition {
  readonly type: string;
  readonly status: "True" | "False";
  /** As the Gateway API names it. */
  readonly reason: string;
  readonly message: string;
}

/** Why something is not as its author wants it. */
export interface Problem {
  readonly reason: string;
  readonly message: string;
}

/** `reason`: that of the condition when there is no problem; default: as its type. */
export function conditionOf(type: string, problem: Problem | undefined, reason: string = type): Condition {
  return problem === undefined
    ? { type, status: "True", reason, message: "" }
    : { type, status: "False", reason: problem.reason, message: problem.message };
}
