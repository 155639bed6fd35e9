import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { lexer, type Token, type Tokens, walkTokens } from "marked";

export const checkout = fileURLToPath(new URL("../../", import.meta.url));

/** A block of code, fenced or indented, in a list or not. */
export interface CodeBlock {
  /** What the fence says: `yaml`, `ts`, or nothing; `indented` for one without a fence. */
  readonly language: string;
  readonly text: string;
}

export interface Page {
  /** From the checkout's root. */
  readonly path: string;
  readonly tokens: readonly Token[];
  readonly blocks: readonly CodeBlock[];
}

export function readPage(path: string): Page {
  const tokens = lexer(readFileSync(`${checkout}${path}`, "utf8"));
  const blocks = all(tokens, "code").map(({ codeBlockStyle, lang, text }) => ({
    language: codeBlockStyle === "indented" ? "indented" : (lang ?? ""),
    text,
  }));
  return { path, tokens, blocks };
}

/** Every page that somebody reads to use Perch. */
export const pages: readonly Page[] = globSync(["*.md", "docs/**/*.md", "deploy/**/*.md", "bench/*.md"], {
  cwd: checkout,
  exclude: (path) => path.includes("node_modules"),
})
  .sort()
  .map(readPage);

interface TokenTypes {
  readonly code: Tokens.Code;
  readonly codespan: Tokens.Codespan;
  readonly heading: Tokens.Heading;
  readonly image: Tokens.Image;
  readonly link: Tokens.Link;
  readonly table: Tokens.Table;
}

/** Every token of one type, those inside others too, in the page's order. */
export function all<Type extends keyof TokenTypes>(tokens: readonly Token[], type: Type): readonly TokenTypes[Type][] {
  const found: TokenTypes[Type][] = [];
  const isWanted = (token: Token): token is Token & TokenTypes[Type] => token.type === type;
  walkTokens([...tokens], (token) => {
    if (isWanted(token)) found.push(token);
  });
  return found;
}

/** The tokens below a heading, up to the next of its depth or a higher one. Fails where there is no such heading. */
export function section({ path, tokens }: Page, heading: string): readonly Token[] {
  const isHeading = (token: Token): token is Tokens.Heading => token.type === "heading";
  const start = tokens.findIndex((token) => isHeading(token) && token.text === heading);
  const found = tokens[start];
  if (found === undefined || !isHeading(found)) throw new Error(`${path} has no section "${heading}"`);
  const end = tokens.findIndex((token, index) => index > start && isHeading(token) && token.depth <= found.depth);
  return tokens.slice(start + 1, end === -1 ? undefined : end);
}

/** The cells of a section's first table, by row, as they are written. */
export function tableOf(tokens: readonly Token[]): readonly (readonly string[])[] {
  return (all(tokens, "table")[0]?.rows ?? []).map((row) => row.map((cell) => cell.text));
}

/** What stands in backquotes in a text. */
export const codesIn = (text: string): readonly string[] =>
  [...text.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);
