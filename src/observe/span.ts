export type SpanValue = string | number | boolean;

/** A finished span: the subset of OpenTelemetry's that Perch uses. */
export interface Span {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  readonly parentId: string | undefined;
  /** The trace's `tracestate`; empty if it has none. */
  readonly traceState: string;
  readonly kind: "server" | "client";
  readonly name: string;
  /** Milliseconds since the Unix epoch, with fractions. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly isError: boolean;
  /** Undefined values are left out. */
  readonly attributes: Readonly<Record<string, SpanValue | undefined>>;
}

/** Accepts finished spans; never blocks and never throws. */
export interface SpanSink {
  add(spans: readonly Span[]): void;
}
