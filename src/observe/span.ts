export type SpanValue = string | number | boolean;

/** One span of a trace, ended: OpenTelemetry's, as far as Perch makes any. */
export interface Span {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  readonly parentId: string | undefined;
  /** The trace's `tracestate`; empty where it has none. */
  readonly traceState: string;
  readonly kind: "server" | "client";
  readonly name: string;
  /** Milliseconds since the Unix epoch, with fractions. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly isError: boolean;
  /** What is undefined is left out. */
  readonly attributes: Readonly<Record<string, SpanValue | undefined>>;
}

/** Takes spans that ended; never waits and never throws. */
export interface SpanSink {
  add(spans: readonly Span[]): void;
}
