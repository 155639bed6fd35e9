/** A test of a rule, as in ``PathPrefix(`/api`)``. */
export interface RuleTest {
  readonly kind: "test";
  readonly name: string;
  readonly args: readonly string[];
}

export type Rule =
  | RuleTest
  | { readonly kind: "not"; readonly of: Rule }
  | { readonly kind: "and" | "or"; readonly of: readonly Rule[] };

/** Why a rule cannot be read. */
export interface RuleProblem {
  readonly problem: string;
}

type Token = { readonly kind: "word" | "text"; readonly text: string } | { readonly kind: (typeof signs)[number] };

const signs = ["&&", "||", "!", "(", ")", ","] as const;

/** Deeper rules are refused, so that no rule exhausts the stack. */
const maxDepth = 50;

/** Parses a rule of Traefik: tests with texts in backticks or quotes, `&&`, `||`, `!` and parentheses. */
export function parseRule(source: string): Rule | RuleProblem {
  const tokens = tokensOf(source);
  if ("problem" in tokens) return tokens;
  const parser = new RuleParser(tokens);
  const rule = parser.alternatives(0);
  if ("problem" in rule) return rule;
  return parser.isAtEnd ? rule : { problem: `${parser.next} is not expected` };
}

function tokensOf(source: string): Token[] | RuleProblem {
  const tokens: Token[] = [];
  const pattern = /\s*(?:(&&|\|\||[!(),])|([A-Za-z][A-Za-z0-9]*)|`([^`]*)`|"((?:[^"\\]|\\.)*)")/y;
  const end = source.trimEnd().length;
  while (pattern.lastIndex < end) {
    const start = pattern.lastIndex;
    const found = pattern.exec(source);
    if (found === null) return { problem: `${source.slice(start, start + 20).trim()} cannot be read` };
    const [, written, word, raw, quoted] = found;
    const sign = signs.find((one) => one === written);
    if (sign !== undefined) tokens.push({ kind: sign });
    else if (word !== undefined) tokens.push({ kind: "word", text: word });
    else tokens.push({ kind: "text", text: raw ?? (quoted ?? "").replace(/\\(.)/g, "$1") });
  }
  return tokens;
}

class RuleParser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  /** The next token, for messages. */
  get next(): string {
    const token = this.#tokens[this.#at];
    if (token === undefined) return "the end";
    return "text" in token ? token.text : token.kind;
  }

  alternatives(depth: number): Rule | RuleProblem {
    return this.#list("||", "or", () => this.#list("&&", "and", () => this.#operand(depth)));
  }

  #list(sign: "&&" | "||", kind: "and" | "or", read: () => Rule | RuleProblem): Rule | RuleProblem {
    const of: Rule[] = [];
    do {
      const one = read();
      if ("problem" in one) return one;
      of.push(one);
    } while (this.#take(sign) !== undefined);
    const [first] = of;
    return of.length === 1 && first !== undefined ? first : { kind, of };
  }

  #operand(depth: number): Rule | RuleProblem {
    if (depth > maxDepth) return { problem: "it is nested too deeply" };
    if (this.#take("!") !== undefined) {
      const of = this.#operand(depth + 1);
      return "problem" in of ? of : { kind: "not", of };
    }
    if (this.#take("(") === undefined) return this.#test();
    const inner = this.alternatives(depth + 1);
    if ("problem" in inner || this.#take(")") !== undefined) return inner;
    return { problem: `a ) is missing before ${this.next}` };
  }

  #test(): Rule | RuleProblem {
    const name = this.#take("word");
    if (name === undefined || !("text" in name)) return { problem: `${this.next} is not a test` };
    if (this.#take("(") === undefined) return { problem: `${name.text} has no arguments` };
    const args: string[] = [];
    do {
      const text = this.#take("text");
      if (text === undefined || !("text" in text)) return { problem: `${this.next} is not a text in backticks` };
      args.push(text.text);
    } while (this.#take(",") !== undefined);
    if (this.#take(")") === undefined) return { problem: `a ) is missing before ${this.next}` };
    return { kind: "test", name: name.text, args };
  }

  #take(kind: Token["kind"]): Token | undefined {
    const token = this.#tokens[this.#at];
    if (token?.kind !== kind) return undefined;
    this.#at++;
    return token;
  }
}
