/** The words of the first command of a text, as a POSIX shell would split it. Nothing is expanded or run. */
export interface ShellWords {
  readonly words: readonly string[];
  /** Whether another command, a pipe or a redirection follows. */
  readonly hasMore: boolean;
  /** Whether a shell would have put something else in place of `$…` or backticks, which are kept as they are. */
  readonly hasExpansion: boolean;
  /** Whether a quote is not closed. */
  readonly isOpen: boolean;
}

export function shellWords(text: string): ShellWords {
  return new ShellReader(text).read();
}

const blank = /[ \t\r]/;
const operator = /[;&|<>()]/;
/** What begins an expansion behind `$`. */
const expanded = /[A-Za-z_0-9({?#@*!$-]/;
/** Within double quotes a backslash stands before these only; before others it is itself. */
const escapable = /[$`"\\]/;
/** One escape of `$'…'`. */
const ansiEscape = /(?:u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|x([0-9a-fA-F]{1,2})|([0-7]{1,3})|([\s\S]))/y;
const named: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  a: "\x07",
  b: "\b",
  e: "\x1b",
  f: "\f",
  v: "\v",
};

/** Looks at each character once. */
class ShellReader {
  readonly #text: string;
  readonly #words: string[] = [];
  #at = 0;
  /** Undefined between words; an empty one is a word too, if it was quoted. */
  #word: string | undefined;
  #hasExpansion = false;
  #isOpen = false;
  #isEnded = false;

  constructor(text: string) {
    this.#text = text;
  }

  read(): ShellWords {
    while (this.#at < this.#text.length && !this.#isEnded) this.#readOne();
    this.#endWord();
    const hasMore = this.#isEnded && this.#text.slice(this.#at).trim() !== "";
    return { words: this.#words, hasMore, hasExpansion: this.#hasExpansion, isOpen: this.#isOpen };
  }

  #readOne(): void {
    const character = this.#next();
    if (blank.test(character)) this.#endWord();
    else if (character === "\n") this.#readLineEnd();
    else if (character === "\\") this.#readEscape();
    else if (character === "'") this.#add(this.#until("'"));
    else if (character === '"') this.#readDoubleQuoted();
    else if (character === "$" && this.#peek() === "'") this.#readAnsiQuoted();
    else if (character === "#" && this.#word === undefined) this.#skipLine();
    else if (operator.test(character)) this.#isEnded = true;
    else {
      this.#noteExpansion(character);
      this.#add(character);
    }
  }

  #next(): string {
    return this.#text[this.#at++] ?? "";
  }

  #peek(): string {
    return this.#text[this.#at] ?? "";
  }

  #add(text: string): void {
    this.#word = (this.#word ?? "") + text;
  }

  #endWord(): void {
    if (this.#word !== undefined) this.#words.push(this.#word);
    this.#word = undefined;
  }

  /** A line end ends the command, but chat programs lose the backslash before it: lines of options go on. */
  #readLineEnd(): void {
    this.#endWord();
    const rest = /[ \t\r\n]*/y;
    rest.lastIndex = this.#at;
    rest.test(this.#text);
    this.#at = rest.lastIndex;
    this.#isEnded = this.#words.length > 0 && this.#at < this.#text.length && this.#peek() !== "-";
  }

  #readEscape(): void {
    const next = this.#next();
    if (next === "\n") return;
    if (next === "\r" && this.#peek() === "\n") this.#at++;
    else this.#add(next);
  }

  /** Up to the quote; the rest of the text if there is none. */
  #until(quote: string): string {
    const end = this.#text.indexOf(quote, this.#at);
    const text = this.#text.slice(this.#at, end === -1 ? undefined : end);
    this.#isOpen ||= end === -1;
    this.#at = end === -1 ? this.#text.length : end + 1;
    return text;
  }

  #readDoubleQuoted(): void {
    this.#add("");
    while (this.#at < this.#text.length) {
      const character = this.#next();
      if (character === '"') return;
      if (character !== "\\") {
        this.#noteExpansion(character);
        this.#add(character);
      } else if (this.#peek() === "\n") this.#at++;
      else this.#add(escapable.test(this.#peek()) ? this.#next() : character);
    }
    this.#isOpen = true;
  }

  #readAnsiQuoted(): void {
    this.#at++;
    this.#add("");
    while (this.#at < this.#text.length) {
      const character = this.#next();
      if (character === "'") return;
      this.#add(character === "\\" ? this.#ansiEscaped() : character);
    }
    this.#isOpen = true;
  }

  #ansiEscaped(): string {
    ansiEscape.lastIndex = this.#at;
    const [all = "", four, eight, two, octal, other = ""] = ansiEscape.exec(this.#text) ?? [];
    this.#at += all.length;
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
    const hex = four ?? eight ?? two;
    if (hex === undefined) return named[other] ?? other;
    const code = Number.parseInt(hex, 16);
    return code > 0x10ffff ? "\ufffd" : String.fromCodePoint(code);
  }

  #skipLine(): void {
    const end = this.#text.indexOf("\n", this.#at);
    this.#at = end === -1 ? this.#text.length : end;
  }

  #noteExpansion(character: string): void {
    this.#hasExpansion ||= character === "`" || (character === "$" && expanded.test(this.#peek()));
  }
}
