import type { CompileContext } from "./compile-context.ts";
import type { TracingSpec } from "./compiled-config.ts";
import type { Span } from "./kit/source-text.ts";
import type { Config } from "./schema.ts";

/** A file of headers holds a token or two. */
const largestHeadersBytes = 64 * 1024;

const headerLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e]*?)[ \t]*$/;

/** What the exporter writes itself. */
const own: ReadonlySet<string> = new Set([
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "host",
  "transfer-encoding",
]);

type Headers = readonly (readonly [name: string, value: string])[];

export function compileTracing(tracing: Config["tracing"], context: CompileContext): TracingSpec | undefined {
  if (tracing === undefined) return undefined;
  const { trustIncoming, sample, serviceName, otlp } = tracing;
  if (otlp === undefined) return { trustIncoming, sample, serviceName, otlp: undefined };
  const { endpoint, headersFile } = otlp;
  const headers =
    headersFile === undefined ? [] : readHeaders(headersFile, context.reading.spanOf(otlp, "headersFile"), context);
  return { trustIncoming, sample, serviceName, otlp: { endpoint, headers } };
}

function readHeaders(written: string, span: Span, context: CompileContext): Headers {
  const file = context.file(written, largestHeadersBytes, span);
  const lines = file === undefined ? [] : Buffer.from(file.bytes).toString("latin1").split("\n");
  return lines.flatMap((line, index) => {
    if (line.trim() === "" || line.startsWith("#")) return [];
    const header = parseHeader(line.trimEnd());
    if (!("problem" in header)) return [header];
    context.badFile(span, file?.path ?? "", `line ${index + 1} ${header.problem}`);
    return [];
  });
}

/** The words never quote the line: it may hold a token. */
function parseHeader(line: string): readonly [name: string, value: string] | { readonly problem: string } {
  const [, name = "", value = ""] = headerLine.exec(line) ?? [];
  if (name === "") return { problem: "is no header such as authorization: Bearer …" };
  return own.has(name.toLowerCase()) ? { problem: `names ${name}, which Perch writes itself` } : [name, value];
}
