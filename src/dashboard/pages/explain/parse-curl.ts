import { flagOptions, shortOptions, valuedOptions } from "./curl-options.ts";
import { basic, type Header, type Note, type PastedRequest, pastedRequest } from "./pasted-request.ts";
import { shellWords } from "./shell-words.ts";

const curl = /^(?:\S*[/\\])?curl(?:\.exe)?$/i;

/** Whether a text is a command line of curl. */
export function isCurl(text: string): boolean {
  return curl.test(/^\S*/.exec(text)?.[0] ?? "");
}

/** Undefined if a quote is not closed, so that nothing after it can be trusted. */
export function parseCurl(text: string): PastedRequest | undefined {
  const isCmd = /^\S+ +(?:-[\w-]+ +)*\^"/.test(text);
  const { words, hasMore, hasExpansion, isOpen } = shellWords(isCmd ? withoutCarets(text) : text);
  if (isOpen) return undefined;
  const reader = new CurlReader(words.slice(1));
  const notes: Note[] = [];
  if (hasMore) notes.push({ kind: "more-commands", names: [] });
  if (hasExpansion && !isCmd) notes.push({ kind: "expansion", names: [] });
  return reader.read(notes);
}

/** The form for Windows' `cmd` escapes with carets what would otherwise be in double quotes. */
function withoutCarets(text: string): string {
  return text.replace(/\^(?:\r?\n|([\s\S]))/g, (_, escaped = "") => escaped);
}

/** `option`: as it was written. */
type TakeValue = (value: string, option: string) => void;

/** Reads the options of one command as curl does, as far as they say what is sent. */
class CurlReader {
  readonly #words: readonly string[];
  #at = 0;
  readonly #headers: Header[] = [];
  readonly #removed = new Set<string>();
  readonly #cookies: string[] = [];
  readonly #urls: string[] = [];
  readonly #data: string[] = [];
  readonly #unknown = new Set<string>();
  readonly #unread = new Set<string>();
  readonly #defaults = new Map<string, string>();
  #method: string | undefined;
  #impliedMethod: string | undefined;
  #isGet = false;
  #hasMore = false;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  read(notes: readonly Note[]): PastedRequest {
    let isOptions = true;
    while (this.#at < this.#words.length && !this.#hasMore) {
      const word = this.#next();
      if (word === "--") isOptions = false;
      else if (isOptions && word.startsWith("--")) this.#long(word.slice(2));
      else if (isOptions && word.startsWith("-") && word.length > 1) this.#short(word.slice(1));
      else this.#urls.push(word);
    }
    return this.#request(notes);
  }

  #next(): string {
    return this.#words[this.#at++] ?? "";
  }

  #long(name: string): void {
    if (name === "next") this.#hasMore = true;
    else if (this.#valued.has(name)) this.#valued.get(name)?.(this.#next(), `--${name}`);
    else if (valuedOptions.has(name)) this.#next();
    else if (this.#flags.has(name)) this.#flags.get(name)?.();
    else if (!flagOptions.has(name)) this.#skip(`--${name}`);
  }

  /** `-sSXPOST`: letters without a value, then one with it, which may follow at once. */
  #short(letters: string): void {
    for (let at = 0; at < letters.length; at++) {
      const letter = letters[at] ?? "";
      const name = shortOptions[letter];
      if (name === undefined) this.#skip(`-${letter}`);
      else if (!this.#valued.has(name) && !valuedOptions.has(name)) this.#flags.get(name)?.();
      else {
        const rest = letters.slice(at + 1);
        const value = rest === "" ? this.#next() : rest;
        this.#valued.get(name)?.(value, `-${letter}`);
        return;
      }
    }
  }

  /** A word after an unknown option is more likely its value than a second URL. */
  #skip(option: string): void {
    this.#unknown.add(option);
    const next = this.#words[this.#at];
    if (next !== undefined && !next.startsWith("-") && !/^[a-z]+:\/\//i.test(next)) this.#at++;
  }

  readonly #flags: ReadonlyMap<string, () => void> = new Map(
    Object.entries({
      get: () => {
        this.#isGet = true;
      },
      head: () => {
        this.#impliedMethod = "HEAD";
      },
      compressed: () => {
        this.#defaults.set("accept-encoding", "deflate, gzip, br, zstd");
      },
    }),
  );

  readonly #valued: ReadonlyMap<string, TakeValue> = new Map(
    Object.entries<TakeValue>({
      url: (value) => this.#urls.push(value),
      request: (value) => {
        this.#method = value;
      },
      header: (value, option) => this.#header(value, option),
      cookie: (value, option) => {
        // Without "=" it names a file.
        if (value.includes("=")) this.#cookies.push(value.trim());
        else if (value !== "") this.#unread.add(option);
      },
      "user-agent": (value) => this.#defaults.set("user-agent", value),
      referer: (value) => this.#defaults.set("referer", value.replace(/;auto$/, "")),
      user: (value) => this.#defaults.set(...basic(value)),
      "oauth2-bearer": (value) => this.#defaults.set("authorization", `Bearer ${value}`),
      range: (value) => this.#defaults.set("range", `bytes=${value}`),
      config: (_, option) => this.#unread.add(option),
      data: (value, option) => this.#addData(value, option, true),
      "data-ascii": (value, option) => this.#addData(value, option, true),
      "data-binary": (value, option) => this.#addData(value, option, true),
      "data-raw": (value, option) => this.#addData(value, option, false),
      "data-urlencode": (value, option) => this.#addData(value, option, true, urlencoded),
      json: (value, option) => {
        this.#addData(value, option, true);
        this.#defaults.set("content-type", "application/json").set("accept", "application/json");
      },
      form: () => this.#addForm(),
      "form-string": () => this.#addForm(),
      "upload-file": () => {
        this.#impliedMethod = "PUT";
      },
    }),
  );

  /** `Name: value`; `Name;` is sent empty, `Name:` not at all, and `@file` is read from there. */
  #header(line: string, option: string): void {
    if (line.startsWith("@")) {
      this.#unread.add(option);
      return;
    }
    const colon = line.indexOf(":", line.startsWith(":") ? 1 : 0);
    const name = (colon === -1 ? line.replace(/;[ \t]*$/, "") : line.slice(0, colon)).trim();
    const value = colon === -1 ? "" : line.slice(colon + 1).trim();
    // HTTP/2's own fields say again what the URL and the method say.
    if (name.startsWith(":")) return;
    if (colon !== -1 && value === "") this.#removed.add(name.toLowerCase());
    else this.#headers.push([name, value]);
  }

  #addData(value: string, option: string, mayBeFile: boolean, encode = (text: string): string => text): void {
    if (mayBeFile && value.startsWith("@")) this.#unread.add(option);
    else this.#data.push(encode(value));
    this.#impliedMethod ??= "POST";
    if (!this.#defaults.has("content-type")) this.#defaults.set("content-type", "application/x-www-form-urlencoded");
  }

  #addForm(): void {
    this.#impliedMethod = "POST";
    this.#defaults.set("content-type", "multipart/form-data");
  }

  #request(notes: readonly Note[]): PastedRequest {
    const all: Note[] = [...notes];
    const url = this.#urls.find((text) => text.includes("://")) ?? this.#urls[0];
    if (this.#unknown.size > 0) all.push({ kind: "unknown-options", names: [...this.#unknown] });
    if (this.#unread.size > 0) all.push({ kind: "files-not-read", names: [...this.#unread] });
    if (this.#urls.length > 1) all.push({ kind: "more-urls", names: this.#urls.filter((text) => text !== url) });
    if (this.#hasMore) all.push({ kind: "more-commands", names: [] });
    if (this.#isGet) this.#defaults.delete("content-type");
    else if (this.#data.length > 0) all.push({ kind: "body-left-out", names: [] });
    const named = new Set(this.#headers.map(([name]) => name.toLowerCase()));
    const defaults = [...this.#defaults].filter(([name]) => !named.has(name) && !this.#removed.has(name));
    return pastedRequest({
      form: "curl",
      method: this.#method ?? (this.#isGet ? "GET" : (this.#impliedMethod ?? "GET")),
      url: url === undefined || !this.#isGet ? url : withQuery(url, this.#data.join("&")),
      headers: [...this.#headers, ...defaults],
      cookies: this.#cookies,
      notes: all,
    });
  }
}

/** `content`, `=content` or `name=content`: the content is encoded. */
function urlencoded(text: string): string {
  const equals = text.indexOf("=");
  const content = encodeURIComponent(text.slice(equals + 1).toWellFormed());
  return equals < 1 ? content : `${text.slice(0, equals)}=${content}`;
}

function withQuery(url: string, query: string): string {
  const [before = ""] = url.split("#");
  if (query === "") return before;
  return `${before}${before.includes("?") ? "&" : "?"}${query}`;
}
