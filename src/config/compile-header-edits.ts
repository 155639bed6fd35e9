import type { HeaderEditsSpec } from "../route/header-edits-spec.ts";
import { compileTemplate } from "./compile-template.ts";
import type { MessageEdits, VersionEdits } from "./compiled-config.ts";
import type { HeaderEditsConfig } from "./header-edits-schema.ts";
import type { Reading } from "./kit/schema.ts";
import type { Span } from "./kit/source-text.ts";
import { quote } from "./kit/tree.ts";
import type { KnownAttributes } from "./known-attributes.ts";
import { whyProtected } from "./protected-headers.ts";
import type { Config } from "./schema.ts";

/** The part of a route or a version that edits headers. */
interface EditingConfig {
  readonly requestHeaders: HeaderEditsConfig | undefined;
  readonly responseHeaders: HeaderEditsConfig | undefined;
}

export function compileMessageEdits(
  { requestHeaders, responseHeaders }: EditingConfig,
  attributes: KnownAttributes,
  reading: Reading,
): MessageEdits {
  return {
    request: requestHeaders && compileHeaderEdits(requestHeaders, "request", attributes, reading),
    response: responseHeaders && compileHeaderEdits(responseHeaders, "response", attributes, reading),
  };
}

/** The edits of all versions that have any. */
export function compileVersionEdits(
  services: Config["services"],
  attributes: KnownAttributes,
  reading: Reading,
): VersionEdits[] {
  return services.flatMap(({ name: service, value }) =>
    value.versions.flatMap(({ name: version, value: config }) => {
      const edits = compileMessageEdits(config, attributes, reading);
      return edits.request === undefined && edits.response === undefined ? [] : [{ service, version, ...edits }];
    }),
  );
}

function compileHeaderEdits(
  config: HeaderEditsConfig,
  message: "request" | "response",
  attributes: KnownAttributes,
  reading: Reading,
): HeaderEditsSpec {
  const check = (name: string, span: Span): void => {
    const why = whyProtected(name, message);
    if (why !== undefined) reading.error(span, "bad-value", `the header ${quote(name)} can not be edited: ${why}`);
  };
  const added = [];
  for (const entry of config.set ?? []) {
    check(entry.name, reading.keySpanOf(entry));
    const value = compileTemplate(entry.value, attributes, reading.spanOf(entry), reading);
    added.push({ name: entry.name, value });
  }
  for (const entry of config.add ?? []) {
    check(entry.name, reading.keySpanOf(entry));
    for (const [index, written] of entry.value.entries()) {
      const value = compileTemplate(written, attributes, reading.spanOf(entry.value, index), reading);
      added.push({ name: entry.name, value });
    }
  }
  for (const [index, name] of (config.remove ?? []).entries()) {
    check(name, reading.spanOf(config, "remove", index));
  }
  const removed = new Set([...(config.remove ?? []), ...(config.set ?? []).map(({ name }) => name)]);
  return { removed: [...removed], added };
}
