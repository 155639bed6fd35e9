import { type RouteParts, route } from "../../../kit/gateway-api.ts";
import type { DraftObject } from "../../../kit/kubernetes-objects.ts";

/** The backends v1, v2 and v3 in the namespace `shop`, and `red` in the namespace `other`; each of port 8080. */
export type BackendName = "v1" | "v2" | "v3" | "red";

export interface RoutedRequest {
  readonly path?: string;
  readonly host?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of the Gateway. Default: 80. */
  readonly port?: 80 | 8090;
}

/** What the client gets, and what the backend got. */
export interface Wanted {
  /** Default: 200. */
  readonly status?: number;
  readonly backend?: BackendName;
  readonly seen?: {
    readonly path?: string;
    readonly host?: string;
    /** null: the backend did not get it. */
    readonly headers?: Readonly<Record<string, string | null>>;
  };
  readonly headers?: Readonly<Record<string, string | null>>;
  /** Of a redirect. */
  readonly location?: string;
}

export interface RoutingCase {
  readonly sentence: string;
  /** Default: one Gateway `web` with a listener for port 80. */
  readonly gateways?: readonly DraftObject[];
  readonly objects: readonly DraftObject[];
  readonly requests: readonly (readonly [request: RoutedRequest, wanted: Wanted])[];
}

export const ref = (name: BackendName, more: object = {}): object => ({ name, port: 8080, ...more });
export const path = (value: string, type = "PathPrefix") => ({ path: { type, value } });
export const to = (name: BackendName, ...matches: readonly object[]): object => ({ matches, backendRefs: [ref(name)] });
export const header = (name: string, value: string, type = "Exact") => ({ name, value, type });
export const one = (rule: object, parts: RouteParts = {}): DraftObject => route("one", [rule], parts);
export const filter = (type: string, key: string, value: object) => ({ type, [key]: value });
export const ok = (backend: BackendName): Wanted => ({ backend });
export const none: Wanted = { status: 404 };
