import type { RequestHeaderAction } from "../request-header-rules.ts";
import type { Snapshot } from "../snapshot.ts";
import { FieldTable } from "./field-table.ts";

/** What a request's field is to the fast lane: the rules' action, or one of its own. */
export type RequestField =
  | Exclude<RequestHeaderAction, "managed">
  | "host"
  | "via"
  /** Written anew by Perch, or dropped. */
  | "rewritten"
  | "content-length"
  | "transfer-encoding"
  /** Makes the request one for the standard lane. */
  | "unserved";

const own: ReadonlyMap<string, RequestField> = new Map([
  ["host", "host"],
  ["via", "via"],
  ["content-length", "content-length"],
  ["transfer-encoding", "transfer-encoding"],
  ["upgrade", "unserved"],
  ["http2-settings", "unserved"],
  ["expect", "unserved"],
]);

/** The fields of requests by name, as the snapshot's rules have them. */
export class RequestFields {
  readonly snapshot: Snapshot;
  readonly table: FieldTable<RequestField>;

  constructor(snapshot: Snapshot) {
    this.snapshot = snapshot;
    const rules = snapshot.requestHeaders;
    this.table = new FieldTable((name) => {
      const action = rules.action(name);
      return own.get(name) ?? (action === "managed" ? "rewritten" : action);
    });
  }
}
