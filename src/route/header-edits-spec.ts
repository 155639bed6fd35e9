import type { Template } from "./template.ts";

/** What is done to the header fields of a message. Names are in lower case. */
export interface HeaderEditsSpec {
  /** Taken out, whoever sent them. Those that are set are among them: what came never stands in for a value of ours. */
  readonly removed: readonly string[];
  /** Appended, in this order. */
  readonly added: readonly { readonly name: string; readonly value: Template }[];
}
