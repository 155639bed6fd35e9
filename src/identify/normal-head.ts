import { normalPath } from "./normal-path.ts";
import type { RequestHead, repeated } from "./request-head.ts";

/** The head with its path in normal form; the very head where it is. Undefined where the path has none. */
export function normalHead(head: RequestHead): RequestHead | undefined {
  if (head.pathIsPlain) return head;
  const path = normalPath(head.path);
  if (path === undefined) return undefined;
  return path === head.path ? head : new HeadWithPath(head, path);
}

/** A head that asks for another path; all else is as it came. */
class HeadWithPath implements RequestHead {
  readonly path: string;
  readonly target: string;
  readonly #head: RequestHead;

  constructor(head: RequestHead, path: string) {
    this.path = path;
    this.target = path + head.target.slice(head.path.length);
    this.#head = head;
  }

  get method(): string {
    return this.#head.method;
  }

  get query(): string {
    return this.#head.query;
  }

  get authority(): string {
    return this.#head.authority;
  }

  get host(): string {
    return this.#head.host;
  }

  get cookies(): string | undefined {
    return this.#head.cookies;
  }

  header(name: string): string | undefined | typeof repeated {
    return this.#head.header(name);
  }

  headerLines(name: string): readonly string[] {
    return this.#head.headerLines(name);
  }
}
