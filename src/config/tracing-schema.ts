import { filePath } from "./domain-scalars.ts";
import { defaulted, object, optional, required } from "./kit/object.ts";
import { number, oneOf, scalar, text, Wrong } from "./kit/scalars.ts";
import type { Schema } from "./kit/schema.ts";
import { quote } from "./kit/tree.ts";

const collectorUrl: Schema<string> = scalar({
  what: "a collector's URL such as http://collector:4318/v1/traces",
  parse(written) {
    const url = /^https?:\/\/[!-~]+$/i.test(written) ? URL.parse(written) : null;
    if (url === null) {
      return new Wrong(`${quote(written)} is not a collector's URL`, "write it as in http://collector:4318/v1/traces");
    }
    if (url.username !== "" || url.password !== "") {
      return new Wrong("a collector's URL can not hold credentials", "put them into headersFile");
    }
    if (url.hash !== "") return new Wrong(`${quote(written)} has a fragment, which is never sent`);
    // The path is taken as it is, as OpenTelemetry does for the endpoint of one signal.
    if (url.pathname === "/") {
      return new Wrong(`${quote(written)} has no path`, `write ${quote(`${url.origin}/v1/traces`)}`);
    }
    return url.href;
  },
  json: { type: "string", pattern: "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@\\s]+/[^#\\s]+$" },
});

const otlp = object(
  {
    endpoint: required("The collector's URL for traces: OTLP over HTTP, in JSON.", collectorUrl, ""),
    headersFile: optional("A file of headers for the collector, one `name: value` a line.", filePath),
  },
  { what: "otlp" },
);

/** Traces of requests: W3C Trace Context, and spans for a collector. */
export const tracingSchema = object(
  {
    trustIncoming: defaulted(
      "Whose traceparent is continued; that of others is replaced by a new trace.",
      oneOf(["anyone", "proxies", "nobody"]),
      "anyone",
    ),
    sample: defaulted(
      "The share of traces recorded, 0 to 1, where no trusted caller has decided it.",
      number({ what: "a share", min: 0, max: 1 }),
      0.01,
    ),
    serviceName: defaulted("What the collector calls Perch.", text({ minLength: 1, maxLength: 255 }), "perch"),
    otlp: optional("Where recorded spans go. Default: nowhere, so that traces are passed on only.", otlp),
  },
  { what: "tracing" },
);
