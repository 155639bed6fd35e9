import { type RequestHead, repeated } from "../../identify/request-head.ts";
import type { FieldScan } from "./field-scan.ts";
import { isNamed } from "./field-table.ts";

/** Where a head's fields can be looked up again. */
interface Scanner {
  readonly scan: FieldScan;
  reclaim(head: FastHead): void;
}

interface FastHeadParts {
  readonly method: string;
  /** The whole head, octet for character. */
  readonly text: string;
  readonly target: string;
  /** Of the target, in characters. */
  readonly pathLength: number;
  readonly pathIsPlain: boolean;
  readonly queryIsPlain: boolean;
  readonly authority: string;
  readonly host: string;
  readonly cookies: string | undefined;
}

/** A request head as the fast lane read it: one text, and fields that are looked up in it when somebody asks. */
export class FastHead implements RequestHead {
  readonly method: string;
  readonly text: string;
  readonly target: string;
  readonly path: string;
  readonly query: string;
  readonly pathIsPlain: boolean;
  readonly queryIsPlain: boolean;
  readonly authority: string;
  readonly host: string;
  readonly cookies: string | undefined;
  readonly #scanner: Scanner;

  constructor(scanner: Scanner, parts: FastHeadParts) {
    const { method, text, target, pathLength, pathIsPlain, queryIsPlain, authority, host, cookies } = parts;
    const isWhole = pathLength === target.length;
    this.method = method;
    this.text = text;
    this.target = target;
    this.path = isWhole ? target : target.slice(0, pathLength);
    this.query = isWhole ? "" : target.slice(pathLength + 1);
    this.pathIsPlain = pathIsPlain;
    this.queryIsPlain = queryIsPlain;
    this.authority = authority;
    this.host = host;
    this.cookies = cookies;
    this.#scanner = scanner;
  }

  header(name: string): string | undefined | typeof repeated {
    this.#scanner.reclaim(this);
    const { scan } = this.#scanner;
    let found: string | undefined;
    for (let field = 0; field < scan.count; field++) {
      if (!isNamed(this.text, scan.start(field), scan.nameEnd(field), name)) continue;
      if (found !== undefined) return repeated;
      found = this.text.slice(scan.valueStart(field), scan.valueEnd(field));
    }
    return found;
  }

  headerLines(name: string): readonly string[] {
    this.#scanner.reclaim(this);
    const { scan } = this.#scanner;
    const lines: string[] = [];
    for (let field = 0; field < scan.count; field++) {
      if (!isNamed(this.text, scan.start(field), scan.nameEnd(field), name)) continue;
      lines.push(this.text.slice(scan.valueStart(field), scan.valueEnd(field)));
    }
    return lines;
  }
}
