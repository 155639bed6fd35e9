import { type LoadResult, loadConfigText, maxConfigBytes } from "../config/load.ts";
import { type Diagnostic, diagnoseFile, errorsOf, formatDiagnostic } from "../config/schema-kit/diagnostics.ts";
import { type Command, type Terminal, textOptions, UsageError } from "./command.ts";
import { loadConfig, loadOnce, loadOptions, printJson } from "./load-config.ts";

const stdinName = "<stdin>";

export const validate: Command = {
  usage: `[-c] FILE… [--json]

  FILE               a configuration; - for standard input. Also kubernetes://configmap/NAMESPACE/NAME/KEY
                     (or secret), which is read from the Kubernetes API
  -c, --config FILE  the same, as the other commands take it; may be repeated
      --json         print one JSON array: for each file its name, whether it is ok, and its problems

The exit code is 2 if any file has an error, and 0 if there are only warnings.`,
  options: { config: { type: "string", short: "c", multiple: true }, json: { type: "boolean" } },
  async run({ options, positionals }, terminal) {
    const files = [...textOptions(options, "config"), ...positionals];
    if (files.length === 0) throw new UsageError("no file to validate");
    if (files.filter((file) => file === "-").length > 1) throw new UsageError("- can be given only once");
    const checked: CheckedFile[] = [];
    for (const file of files) checked.push(await check(file, terminal));
    if (options["json"] === true) printJson(checked.map(jsonOf), terminal);
    else for (const one of checked) printResult(one, terminal);
    return checked.every(({ result }) => result.ok) ? 0 : 2;
  },
};

interface CheckedFile {
  readonly file: string;
  readonly result: LoadResult;
}

async function check(file: string, terminal: Terminal): Promise<CheckedFile> {
  if (file !== "-") return { file, result: await loadConfig(file, terminal) };
  const text = await readStdin();
  const result: LoadResult =
    text === undefined
      ? { ok: false, problems: [diagnoseFile(stdinName, "the input is not valid UTF-8")], files: [] }
      : await loadOnce(terminal, (readers) =>
          loadConfigText(text, { ...loadOptions(terminal), ...readers, file: stdinName }),
        );
  return { file: stdinName, result };
}

/** Undefined if the input is not UTF-8. Reads slightly above the size limit, so that the loader reports the size. */
async function readStdin(): Promise<string | undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  try {
    for await (const chunk of process.stdin) {
      text += decoder.decode(chunk, { stream: true });
      if (text.length > maxConfigBytes) return text;
    }
    return text + decoder.decode();
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

function problemsOf(result: LoadResult): readonly Diagnostic[] {
  return result.ok ? result.warnings : result.problems;
}

function jsonOf({ file, result }: CheckedFile): unknown {
  return { file, ok: result.ok, ...(result.ok ? { hash: result.hash } : {}), problems: problemsOf(result) };
}

/** Prints a valid file's warnings. Of an invalid file only the errors, so that they are not lost among the warnings. */
function printResult({ file, result }: CheckedFile, terminal: Terminal): void {
  if (!result.ok) {
    const errors = errorsOf(result.problems);
    for (const error of errors) terminal.err(`${formatDiagnostic(error)}\n`);
    const hidden = result.problems.length - errors.length;
    const note = hidden === 0 ? "" : `, ${count(hidden, "warning")}; warnings are shown once the errors are fixed`;
    terminal.err(`${file}: invalid (${count(errors.length, "error")}${note})\n`);
    return;
  }
  for (const warning of result.warnings) terminal.err(`${formatDiagnostic(warning)}\n`);
  const { routes, services, releases } = result.compiled;
  const counts = [
    count(routes.length, "route"),
    count(services.length, "service"),
    count(releases.length, "release"),
    count(result.warnings.length, "warning"),
  ];
  terminal.out(`${file}: ok (${result.hash.slice(0, 12)}, ${counts.join(", ")})\n`);
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
