/** A load without pause, whichever program makes it. */
export interface RunningLoad {
  /** Ends it; resolves to what was wrong with the answers. */
  stop(): Promise<readonly string[]>;
}
