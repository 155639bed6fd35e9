/** How many requests of one requester a route takes, by each worker. */
export interface RateLimitSpec {
  /** Who counts as one; a request without the attribute counts by its client's address. */
  readonly by:
    | { readonly kind: "clientAddress" }
    | { readonly kind: "attribute"; readonly index: number; readonly name: string };
  readonly requests: number;
  readonly perMs: number;
  /** How many may come at once after a rest. */
  readonly burst: number;
}
