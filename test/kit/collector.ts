import { createServer, type ServerResponse } from "node:http";
import { listening } from "./freed.ts";

/** A span as a collector reads it: attributes by name. */
export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly traceState: string | undefined;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number };
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** The resource's attributes. */
  readonly resource: Readonly<Record<string, string | number | boolean>>;
}

export interface TestCollector {
  readonly endpoint: string;
  readonly spans: readonly CollectedSpan[];
  /** Posts, with what came. */
  readonly posts: readonly { readonly headers: NodeJS.Dict<string | string[]>; readonly spans: number }[];
}

/** A real HTTP server that takes OTLP/HTTP JSON, and fails a test that sends it anything else. `answer` may refuse. */
export async function collector(
  answer: (response: ServerResponse, post: number) => void = accept,
): Promise<TestCollector> {
  const spans: CollectedSpan[] = [];
  const posts: { headers: NodeJS.Dict<string | string[]>; spans: number }[] = [];
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request.setEncoding("utf8")) text += chunk;
    const read = request.headers["content-type"] === "application/json" ? readSpans(JSON.parse(text)) : [];
    posts.push({ headers: request.headers, spans: read.length });
    response.once("finish", () => {
      if (response.statusCode === 200) spans.push(...read);
    });
    answer(response, posts.length);
  });
  return { endpoint: `http://127.0.0.1:${await listening(server)}/v1/traces`, spans, posts };
}

function accept(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "application/json" }).end("{}");
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, string | number | boolean>>;
}

interface Document {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly (Omit<CollectedSpan, "attributes" | "resource"> & {
        readonly attributes: readonly Attribute[];
      })[];
    }[];
  }[];
}

function readSpans({ resourceSpans }: Document): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        ...span,
        attributes: readAttributes(span.attributes),
        resource: readAttributes(resource.attributes),
      })),
    ),
  );
}

/** 64-bit numbers come as texts (proto3 JSON). */
function readAttributes(attributes: readonly Attribute[]): CollectedSpan["attributes"] {
  return Object.fromEntries(
    attributes.map(({ key, value }) => {
      const { stringValue, boolValue, intValue } = value;
      const read = stringValue ?? boolValue ?? (typeof intValue === "string" ? Number(intValue) : undefined);
      if (read === undefined) throw new TypeError(`${key} has the value ${JSON.stringify(value)}`);
      return [key, read];
    }),
  );
}
