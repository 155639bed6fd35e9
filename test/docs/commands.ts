import type { CodeBlock, Page } from "./page.ts";

/** A command as a page has it. */
export interface PageCommand {
  readonly words: readonly string[];
  /** Lines that the page shows below it; `…` stands for anything, alone on a line for any lines. */
  readonly shown: readonly string[];
}

/** Programs that pages name and no test of pages runs: why not, and what does. */
export const notRun: Readonly<Record<string, string>> = {
  npm: "installs, or runs everything: test/slow/package.test.ts, test/cli/demo, and CI itself",
  node: "stands in for a service, or is a program of deploy/examples with tests of its own",
  exec: "replaces the shell by the perch that the other commands run",
  curl: "asks what runs by then: test/docs/first-canary.test.ts and test/e2e do",
  for: "asks many times: test/docs/first-canary.test.ts does",
  mv: "puts a changed file in place: test/docs/first-canary.test.ts and test/e2e/reload.test.ts do",
  kubectl: "needs a cluster: test/deploy checks the manifests",
  docker: "needs Docker: test/slow/image.test.ts takes the same steps without it",
  sh: "puts a step's file into a cluster: test/deploy runs it up to there",
  openssl: "makes random secrets",
  head: "makes random secrets",
  "{": "makes a secret of two",
  rm: "tidies up",
  sed: "takes the rules out of a manifest: test/deploy does",
};

const isShell = ({ language }: CodeBlock) => ["", "indented", "sh"].includes(language);

/** The commands of a page, in its order: lines behind `$`, or all lines of a block that has a program known here. */
export function commandsOf({ blocks }: Page): readonly PageCommand[] {
  return blocks.filter(isShell).flatMap(({ text, language }) => {
    if (/^\$ /m.test(text)) return session(text.split("\n"));
    // A quoted text may have lines of its own.
    const lines = Array.from(text.matchAll(/(?:'[^']*'|[^'\n])+/g), ([line]) => wordsOf(line));
    const isScript = language === "sh" || lines.some(([program = ""]) => program === "perch" || program in notRun);
    return isScript ? lines.filter(({ length }) => length > 0).map((words) => ({ words, shown: [] })) : [];
  });
}

function session(lines: readonly string[]): readonly PageCommand[] {
  const found: { words: readonly string[]; shown: string[] }[] = [];
  for (const line of lines) {
    if (line.startsWith("$ ")) found.push({ words: wordsOf(line.slice(2)), shown: [] });
    else found.at(-1)?.shown.push(line);
  }
  return found;
}

/** A line as a shell splits it, up to a comment, a pipe or a redirection. */
function wordsOf(line: string): readonly string[] {
  const words: string[] = [];
  for (const [word] of line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)) {
    if (/^[#|>&]/.test(word)) break;
    words.push(word.replace(/'([^']*)'|"([^"]*)"/g, (_, single?: string, double?: string) => single ?? double ?? ""));
  }
  // From a checkout `npm run -s perch --` stands for `perch`.
  const { length } = ["npm", "run", "-s", "perch", "--"];
  return words.slice(0, length).join(" ") === "npm run -s perch --" ? ["perch", ...words.slice(length)] : words;
}

/** The first shown line that is not in the output, behind those before it; undefined where all are. */
export function missingLine(shown: readonly string[], output: string): string | undefined {
  const lines = output.split("\n").map((line) => line.trimEnd());
  let at = 0;
  for (const line of shown) {
    if (line.trim() === "…") continue;
    const pattern = new RegExp(`^${line.trimEnd().split("…").map(literally).join(".*")}$`);
    const found = lines.findIndex((candidate, index) => index >= at && pattern.test(candidate));
    if (found === -1) return line;
    at = found + 1;
  }
  return undefined;
}

const literally = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
