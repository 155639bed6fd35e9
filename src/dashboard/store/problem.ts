/** An error answer of the server (RFC 9457). `error` is for programs, `detail` and `problems` are for people. */
export interface Problem {
  readonly status: number;
  readonly error: string;
  readonly detail: string;
  readonly problems?: readonly string[];
}
