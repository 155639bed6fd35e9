import type { ValueList } from "../decide/condition.ts";
import type { AttributeType } from "../decide/facts.ts";
import type { GeoDatabase } from "../identify/geo-database.ts";
import type { OpenedDatabase } from "./database-file.ts";
import { maxListBytes, maxSecretBytes, type NamedFiles, parseSecrets, parseValueList } from "./named-files.ts";
import type { ParseContext } from "./schema-kit/schema.ts";
import type { Span } from "./schema-kit/tree.ts";

/** Where a part of a value stands in the file; steps are keys and indices as written. */
export type Locate = (...steps: (string | number)[]) => Span;

export interface CompileOptions {
  /**
   * The secret for the pins of a release without a secretFile. Asked once for each such release and load: answer the same
   * for the process's life, or a reload voids every pin.
   */
  readonly randomSecret: (release: string) => Uint8Array;
  /** The wall clock, for warnings of certificates that end; without it there are none. */
  readonly nowMs?: () => number;
  /** Opens a database by its absolute path. */
  readonly openDatabase: (path: string) => OpenedDatabase;
  /** Whether keys may be named by where they are published. Default: fetched. */
  readonly publishedKeys?: "fetched" | "refused";
}

/** What the parts of a compilation share: where to tell problems, and the files that the configuration names. */
export class CompileContext {
  readonly parsing: ParseContext;
  readonly files: NamedFiles;
  readonly randomSecret: CompileOptions["randomSecret"];
  /** What certificates' ends are judged by; undefined where nobody wants to hear of them. */
  readonly nowMs: (() => number) | undefined;
  readonly publishedKeys: "fetched" | "refused";
  readonly #openDatabase: CompileOptions["openDatabase"];
  readonly #lists = new Map<string, ValueList | undefined>();

  constructor(
    parsing: ParseContext,
    files: NamedFiles,
    { randomSecret, nowMs, publishedKeys = "fetched", openDatabase }: CompileOptions,
  ) {
    this.parsing = parsing;
    this.files = files;
    this.randomSecret = randomSecret;
    this.nowMs = nowMs;
    this.publishedKeys = publishedKeys;
    this.#openDatabase = openDatabase;
  }

  /** Undefined, with the problem told, where the list can not be used. */
  list(written: string, type: AttributeType, span: Span): ValueList | undefined {
    // A thousand rules may share a list; it is parsed once for each type.
    const key = `${type} ${written}`;
    if (!this.#lists.has(key)) this.#lists.set(key, this.#readList(written, type, span));
    return this.#lists.get(key);
  }

  #readList(written: string, type: AttributeType, span: Span): ValueList | undefined {
    const file = this.file(written, maxListBytes, span);
    if (file === undefined) return undefined;
    const list = parseValueList(file.path, file.bytes, type);
    return "problem" in list ? this.badFile(span, file.path, list.problem) : list;
  }

  /** None, with the problem told, where the file has none to give. */
  secrets(written: string, span: Span): readonly Uint8Array[] {
    const file = this.file(written, maxSecretBytes, span);
    if (file === undefined) return [];
    const secrets = parseSecrets(file.bytes);
    if (!("problem" in secrets)) return secrets;
    this.badFile(span, file.path, secrets.problem);
    return [];
  }

  /** A file that the configuration names; undefined, with the problem told, where it can not be read. */
  file(written: string, limitBytes: number, span: Span): { path: string; bytes: Uint8Array } | undefined {
    const contents = this.files.read(written, limitBytes);
    return contents.kind === "read" ? contents : this.badFile(span, contents.path, contents.why);
  }

  /** Undefined, with the problem told, where it can not be used. */
  database(written: string, span: Span): GeoDatabase | undefined {
    const path = this.files.note(written);
    const opened = this.#openDatabase(path);
    return "problem" in opened ? this.badFile(span, path, opened.problem) : opened;
  }

  badFile(span: Span, path: string, why: string): undefined {
    this.parsing.error(span, "bad-file", `the file ${path} can not be used: ${why}`);
    return undefined;
  }
}

/** The attributes of a configuration, as conditions refer to them. */
export class KnownAttributes {
  /** All names in the file; undefined where they can not be told. */
  readonly names: ReadonlySet<string> | undefined;
  readonly #found = new Map<string, { readonly index: number; readonly type: AttributeType }>();
  readonly #used = new Set<string>();

  constructor(
    names: ReadonlySet<string> | undefined,
    attributes: readonly { readonly name: string; readonly type: AttributeType }[],
  ) {
    this.names = names;
    for (const [index, { name, type }] of attributes.entries()) this.#found.set(name, { index, type });
  }

  /** Looks an attribute up for a condition or a unit, which makes it used. */
  use(name: string): { readonly index: number; readonly type: AttributeType } | undefined {
    this.#used.add(name);
    return this.#found.get(name);
  }

  isUsed(name: string): boolean {
    return this.#used.has(name);
  }
}
