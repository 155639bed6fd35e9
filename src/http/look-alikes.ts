/**
 * Parameters and cookies that a common parser reads under a reserved name, although it is spelled otherwise: PHP skips
 * leading blanks and reads `a.b`, `a b` and `a[b` as `a_b`; Rack and qs read `[a]` and `a[]` as `a`; ASP.NET ignores
 * letter case; some parsers split queries at `;`, and cookies at commas and blanks. Built once per snapshot.
 */
export class LookAlikes {
  readonly #names: ReadonlySet<string>;
  /** Matches whatever may hold one of the names, unescaped. */
  readonly #hint: RegExp;

  private constructor(names: ReadonlySet<string>) {
    this.#names = names;
    const patterns = Array.from(names, (name) => name.replace(/[^a-z0-9_]/g, "\\$&").replaceAll("_", "[^&=]"));
    this.#hint = new RegExp(`%|${patterns.join("|")}`, "i");
  }

  /** Undefined if there are no such names. */
  static of(reserved: Iterable<string>): LookAlikes | undefined {
    // A name with an index, such as `filter[a]`, must not reserve all of `filter`.
    const plain = [...reserved].filter((name) => !/[[\]]/.test(name));
    const names = new Set(plain.map(readAs).filter((name) => name !== ""));
    return names.size === 0 ? undefined : new LookAlikes(names);
  }

  /** The query without look-alikes, otherwise byte for byte; the same string if there were none. */
  stripQuery(query: string): string {
    if (!this.#hint.test(query)) return query;
    const left = query.split("&").flatMap((parameter) => this.#withoutParts(parameter));
    return left.join("&");
  }

  /** The Cookie header without look-alikes, otherwise byte for byte; the same string if there were none. */
  stripCookies(header: string): string {
    if (!this.#hint.test(header)) return header;
    const pieces = header.split(";");
    const left = pieces.map((piece) => this.#beforeLookAlike(piece));
    if (left.every((piece, at) => piece === pieces[at])) return header;
    return left
      .filter((piece) => piece !== undefined)
      .join(";")
      .trimStart();
  }

  /** One parameter without its parts that are look-alikes; none if nothing is left. */
  #withoutParts(parameter: string): readonly string[] {
    if (this.#isNamed(parameter)) return [];
    if (!parameter.includes(";")) return [parameter];
    const parts = parameter.split(";");
    const left = parts.filter((part) => !this.#isNamed(part));
    return left.length === parts.length ? [parameter] : left.length === 0 ? [] : [left.join(";")];
  }

  #isNamed(parameter: string): boolean {
    const equals = parameter.indexOf("=");
    return this.#names.has(readAs(equals === -1 ? parameter : parameter.slice(0, equals)));
  }

  /** The piece up to the first look-alike in it; undefined if it starts with one. */
  #beforeLookAlike(piece: string): string | undefined {
    for (const { index, 1: before = "", 2: name = "" } of piece.matchAll(/(^[\t ]*|[,\t ]+)([^,\t =]+)[\t ]*=/g)) {
      if (this.#names.has(readAs(name)))
        return index === 0 && !before.includes(",") ? undefined : piece.slice(0, index);
    }
    return piece;
  }
}

/** The name that the most lenient parser reads. */
function readAs(name: string): string {
  const decoded = name
    .replaceAll("+", " ")
    .replace(/%(?:u([\da-f]{4})|([\da-f]{2}))/gi, (_, wide?: string, byte?: string) =>
      String.fromCharCode(Number.parseInt(wide ?? byte ?? "", 16)),
    );
  const [, text = ""] = /^[\s?"'[\]]*([^\0[\]]*)/.exec(decoded) ?? [];
  return text
    .replace(/[\s"']+$/, "")
    .replace(/[ .]/g, "_")
    .toLowerCase();
}
