import type { Diagnostic } from "../config/diagnostics.ts";
import type { Exposition, MetricsFormat } from "../observe/metrics.ts";
import type { EndpointReport } from "./endpoint-report.ts";
import type { ReleaseReport } from "./release-report.ts";

export type Readiness = "ready" | "no-config" | "no-worker" | "draining";

export interface ActiveConfig {
  /** Undefined where the configuration came from flags. */
  readonly file: string | undefined;
  readonly hash: string;
  readonly loadedAtMs: number;
  readonly warnings: readonly Diagnostic[];
}

export interface ConfigError {
  readonly atMs: number;
  /** All problems as `perch validate` prints them: file:line:column, excerpt, caret. */
  readonly text: string;
  readonly problems: readonly Diagnostic[];
}

export interface ConfigView {
  readonly active: ActiveConfig | undefined;
  /** Why the file as it now is was refused; undefined once it is the active one. */
  readonly lastError: ConfigError | undefined;
  /** Settings that differ in the file and that only a restart changes, such as `listeners`. */
  readonly restartNeeded: readonly string[];
}

/** A request to be explained, checked to be one that could be sent. */
export interface ExplainQuery {
  /** Absolute, http or https; the text as given, so that the path is judged as it would come. */
  readonly url: string;
  readonly method: string;
  /** Names in lower case. Cookie headers are not among them. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** All cookies as one header value. */
  readonly cookies: string | undefined;
  /** The client's IP address; undefined: some client's. */
  readonly client: string | undefined;
}

export type ExplainAnswer =
  /** What `perch explain --json` prints. */
  | { readonly kind: "explained"; readonly explanation: Readonly<Record<string, unknown>> }
  /** No such request could be served; the message says why. */
  | { readonly kind: "refused"; readonly message: string };

/** What the admin server shows. The application supplies it; nothing here changes any state or counts anything. */
export interface AdminView {
  metrics(format: MetricsFormat): Promise<Exposition>;
  readiness(): Readiness;
  config(): ConfigView;
  releases(): Promise<readonly ReleaseReport[]>;
  endpoints(): Promise<readonly EndpointReport[]>;
  explain(query: ExplainQuery): Promise<ExplainAnswer>;
}
