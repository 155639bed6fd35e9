/** One measured request whose trace was recorded: where a dashboard's dot leads. */
export type Exemplar = {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  readonly seconds: number;
  /** When it was measured. */
  readonly atMs: number;
};

/** A trace that is recorded. */
export interface SampledTrace {
  readonly traceId: string;
  /** When its request began. */
  readonly startedAtMs: number;
}
