import type { CompileContext } from "../compile-context.ts";
import type { TracingSpec } from "../compiled-config.ts";
import { secretPath } from "../scalars.ts";
import { defaulted, object, optional, required } from "../schema-kit/object.ts";
import { number, oneOf, ParseError, scalar, text } from "../schema-kit/scalars.ts";
import type { Infer, Schema } from "../schema-kit/schema.ts";
import { quote, type Span } from "../schema-kit/tree.ts";

const collectorUrl: Schema<string> = scalar({
  what: "a collector's URL such as http://collector:4318/v1/traces",
  parse(written) {
    const url = /^https?:\/\/[!-~]+$/i.test(written) ? URL.parse(written) : null;
    if (url === null) {
      return new ParseError(
        `${quote(written)} is not a collector's URL`,
        "write it as in http://collector:4318/v1/traces",
      );
    }
    if (url.username !== "" || url.password !== "") {
      return new ParseError("a collector's URL cannot contain credentials", "put them into headersFile");
    }
    if (url.hash !== "") return new ParseError(`${quote(written)} has a fragment, which would not be sent`);
    // The URL is used unchanged, as in OpenTelemetry for a signal-specific endpoint, so it needs the full path.
    if (url.pathname === "/") {
      return new ParseError(`${quote(written)} has no path`, `write ${quote(`${url.origin}/v1/traces`)}`);
    }
    return url.href;
  },
  json: { type: "string", pattern: "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@\\s]+/[^#\\s]+$" },
});

const otlp = object(
  {
    endpoint: required("The collector's URL for traces: OTLP/HTTP with JSON.", collectorUrl, ""),
    headersFile: optional("A file of headers for the collector, one `name: value` per line.", secretPath),
  },
  { what: "otlp" },
);

/** W3C Trace Context, and spans for a collector. */
export const tracingSchema = object(
  {
    trustIncoming: defaulted(
      "Whose traceparent is continued. Requests of others start a new trace.",
      oneOf(["anyone", "proxies", "nobody"]),
      "anyone",
    ),
    sample: defaulted(
      "The share of traces recorded, 0 to 1, unless a trusted caller has decided it.",
      number({ what: "a share", min: 0, max: 1 }),
      0.01,
    ),
    serviceName: defaulted("The service.name of Perch in spans.", text({ minLength: 1, maxLength: 255 }), "perch"),
    otlp: optional("The destination of recorded spans. Default: none; traceparent is only forwarded.", otlp),
  },
  { what: "tracing" },
);

export function compileTracing(
  tracing: Infer<typeof tracingSchema> | undefined,
  context: CompileContext,
): TracingSpec | undefined {
  if (tracing === undefined) return undefined;
  const { trustIncoming, sample, serviceName, otlp } = tracing;
  if (otlp === undefined) return { trustIncoming, sample, serviceName, otlp: undefined };
  const { endpoint, headersFile } = otlp;
  const headers =
    headersFile === undefined ? [] : readHeaders(headersFile, context.parsing.spanOf(otlp, "headersFile"), context);
  return { trustIncoming, sample, serviceName, otlp: { endpoint, headers } };
}

const maxHeadersBytes = 64 * 1024;

type Headers = readonly (readonly [name: string, value: string])[];

function readHeaders(written: string, span: Span, context: CompileContext): Headers {
  const file = context.file(written, maxHeadersBytes, span);
  const lines = file === undefined ? [] : Buffer.from(file.bytes).toString("latin1").split("\n");
  return lines.flatMap((line, index) => {
    if (line.trim() === "" || line.startsWith("#")) return [];
    const header = parseHeader(line.trimEnd());
    if (!("problem" in header)) return [header];
    context.badFile(span, file?.path ?? "", `line ${index + 1} ${header.problem}`);
    return [];
  });
}

const headerLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e]*?)[ \t]*$/;

/** Headers that the exporter sets. */
const reserved: ReadonlySet<string> = new Set([
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "host",
  "transfer-encoding",
]);

/** Problem texts never quote the line, since it may contain a token. */
function parseHeader(line: string): readonly [name: string, value: string] | { readonly problem: string } {
  const [, name = "", value = ""] = headerLine.exec(line) ?? [];
  if (name === "") return { problem: "is not a header such as authorization: Bearer …" };
  return reserved.has(name.toLowerCase()) ? { problem: `sets ${name}, which Perch sets itself` } : [name, value];
}
