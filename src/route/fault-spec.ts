import type { Condition } from "../decide/condition.ts";

/** Which requests a fault strikes. */
export interface FaultTarget {
  /** Of the requests that meet the condition, 0 to 100; drawn for each anew. */
  readonly percent: number;
  readonly when: Condition | undefined;
}

/** What is done wrong on purpose. */
export interface FaultSpec {
  readonly delay: (FaultTarget & { readonly ms: number }) | undefined;
  readonly abort: (FaultTarget & { readonly status: number }) | undefined;
}
