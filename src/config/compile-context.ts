import type { ValueList } from "../decide/condition.ts";
import type { AttributeType } from "../decide/facts.ts";
import { TimeZone } from "../decide/time-zone.ts";
import type { AttributeSpec } from "../identify/attributes.ts";
import type { GeoDatabase } from "../identify/geo-database.ts";
import type { OpenedDatabase } from "./database-file.ts";
import { isKeyReference } from "./key-reference.ts";
import { maxListBytes, maxSecretBytes, type NamedFiles, parseSecrets, parseValueList } from "./named-files.ts";
import type { ParseContext } from "./schema-kit/schema.ts";
import type { Span } from "./schema-kit/tree.ts";

/** The location of a part of a value in the file. Steps are keys and indices as written. */
export type Locate = (...steps: (string | number)[]) => Span;

export interface CompileOptions {
  /**
   * The secret for pins of a release without a secretFile. Called once per such release and load. It must return the
   * same secret for the life of the process, or a reload invalidates all pins.
   */
  readonly randomSecret: (release: string) => Uint8Array;
  /** The wall clock, for warnings about expiring certificates. Without it there are none. */
  readonly nowMs?: () => number;
  /** Opens a database by its absolute path. */
  readonly openDatabase: (path: string) => OpenedDatabase;
  /** Whether `jwksUrl` is allowed. Default: fetched. */
  readonly publishedKeys?: "fetched" | "refused";
  /** Whether the command line says where state is kept. Default: no. */
  readonly hasStateDir?: boolean;
}

/** Shared state of a compilation: problem reporting, and the files that the configuration names. */
export class CompileContext {
  readonly parsing: ParseContext;
  readonly files: NamedFiles;
  readonly randomSecret: CompileOptions["randomSecret"];
  readonly nowMs: (() => number) | undefined;
  readonly publishedKeys: "fetched" | "refused";
  readonly hasStateDir: boolean;
  readonly #openDatabase: CompileOptions["openDatabase"];
  readonly #lists = new Map<string, ValueList | undefined>();

  constructor(
    parsing: ParseContext,
    files: NamedFiles,
    { randomSecret, nowMs, publishedKeys = "fetched", hasStateDir = false, openDatabase }: CompileOptions,
  ) {
    this.parsing = parsing;
    this.files = files;
    this.randomSecret = randomSecret;
    this.nowMs = nowMs;
    this.publishedKeys = publishedKeys;
    this.hasStateDir = hasStateDir;
    this.#openDatabase = openDatabase;
  }

  /** Undefined if the list cannot be used; the problem is then reported. */
  list(written: string, { type, zone }: ListedValues, span: Span): ValueList | undefined {
    // Many rules may share a list, so it is parsed once per type.
    const key = `${type} ${zone?.name} ${written}`;
    if (!this.#lists.has(key)) this.#lists.set(key, this.#readList(written, { type, zone }, span));
    return this.#lists.get(key);
  }

  #readList(written: string, { type, zone }: ListedValues, span: Span): ValueList | undefined {
    const file = this.file(written, maxListBytes, span);
    if (file === undefined) return undefined;
    const list = parseValueList(file.path, file.bytes, type, zone);
    return "problem" in list ? this.badFile(span, file.path, list.problem) : list;
  }

  /** Empty if the file cannot be used; the problem is then reported. */
  secrets(written: string, span: Span): readonly Uint8Array[] {
    const file = this.file(written, maxSecretBytes, span);
    if (file === undefined) return [];
    const secrets = parseSecrets(file.bytes);
    if (!("problem" in secrets)) return secrets;
    this.badFile(span, file.path, secrets.problem);
    return [];
  }

  /** Undefined if the file cannot be read; the problem is then reported. */
  file(written: string, limitBytes: number, span: Span): { path: string; bytes: Uint8Array } | undefined {
    const contents = this.files.read(written, limitBytes);
    return contents.kind === "read" ? contents : this.badFile(span, contents.path, contents.why);
  }

  /** Undefined if the database cannot be used; the problem is then reported. */
  database(written: string, span: Span): GeoDatabase | undefined {
    const path = this.files.note(written);
    const opened = this.#openDatabase(path);
    return "problem" in opened ? this.badFile(span, path, opened.problem) : opened;
  }

  badFile(span: Span, path: string, why: string): undefined {
    const what = isKeyReference(path) ? path : `the file ${path}`;
    this.parsing.error(span, "bad-file", `${what} cannot be used: ${why}`);
    return undefined;
  }
}

/** How the lines of a file of values are read. */
interface ListedValues {
  readonly type: AttributeType;
  readonly zone?: TimeZone | undefined;
}

interface KnownAttribute {
  readonly index: number;
  readonly type: AttributeType;
  /** Of times without a zone. */
  readonly zone: TimeZone | undefined;
}

/** The attributes of a configuration, for lookup by name. */
export class KnownAttributes {
  /** All attribute names in the file; undefined if they are unknown because the map could not be read. */
  readonly names: ReadonlySet<string> | undefined;
  readonly specs: readonly AttributeSpec[];
  readonly #found = new Map<string, KnownAttribute>();
  readonly #used = new Set<string>();

  constructor(names: ReadonlySet<string> | undefined, attributes: readonly AttributeSpec[]) {
    this.names = names;
    this.specs = attributes;
    for (const [index, { name, type, timeZone }] of attributes.entries()) {
      const zone = timeZone === undefined ? undefined : TimeZone.named(timeZone);
      this.#found.set(name, { index, type, zone });
    }
  }

  /** Looks up an attribute and marks it as used. */
  use(name: string): KnownAttribute | undefined {
    this.#used.add(name);
    return this.#found.get(name);
  }

  isUsed(name: string): boolean {
    return this.#used.has(name);
  }
}
