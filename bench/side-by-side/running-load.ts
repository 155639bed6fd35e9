/** A load without pause, of any program. */
export interface RunningLoad {
  /** Ends it; resolves to the errors of the responses. */
  stop(): Promise<readonly string[]>;
}
