import { Document, isMap, isSeq, type Node, type Scalar } from "yaml";
import type { Draft, YamlMap } from "./draft.ts";

const schemaLine = " yaml-language-server: $schema=./perch.schema.json";
const wrapAt = 110;

/** The draft as a configuration file, with comments that say where each part comes from and what has no equivalent. */
export function writeDraft(draft: Draft, sources: readonly string[]): string {
  const document = new Document({
    services: Object.fromEntries(
      draft.services.map(({ name, versions, settings }) => [name, service(versions, settings)]),
    ),
    ...(draft.releases.length === 0
      ? {}
      : { releases: Object.fromEntries(draft.releases.map(({ name, settings }) => [name, settings])) }),
    routes: draft.routes.map(({ name, match, service, release, settings }) => ({
      name,
      ...(Object.keys(match).length === 0 ? {} : { match }),
      ...(service === undefined ? {} : { service }),
      ...(release === undefined ? {} : { release }),
      ...settings,
    })),
  });
  comment(document, draft);
  document.commentBefore = [schemaLine, ...header(draft, sources)].join("\n");
  return document.toString({ lineWidth: 120, flowCollectionPadding: true });
}

function service(versions: Draft["services"][number]["versions"], settings: YamlMap): YamlMap {
  const named = versions.map(({ name, endpoints, settings: own }) => [name, { endpoints, ...own }] as const);
  return { versions: Object.fromEntries(named), ...settings };
}

function header(draft: Draft, sources: readonly string[]): string[] {
  const lines = [` Made by perch import from ${sources.join(", ")}. Read it before you use it.`];
  if (draft.notes.length === 0) return lines;
  lines.push(" What is not as it was:");
  for (const { where, what } of draft.notes) lines.push(...wrap(`- ${where}: ${what}`));
  return lines;
}

function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && line.length + word.length + 1 > wrapAt) {
      lines.push(` ${line}`);
      line = `  ${word}`;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, ` ${line}`];
}

function comment(document: Document, draft: Draft): void {
  const releases = document.get("releases", true);
  if (isMap(releases)) {
    for (const [index, pair] of releases.items.entries()) {
      (pair.key as Scalar).commentBefore = commentText(draft.releases[index]?.comment);
    }
  }
  const routes = document.get("routes", true);
  if (!isSeq(routes)) return;
  for (const [index, item] of routes.items.entries()) {
    (item as Node).commentBefore = commentText(draft.routes[index]?.comment);
    const match = isMap(item) ? item.get("match", true) : undefined;
    if (isMap(match)) match.flow = true;
  }
}

function commentText(comment: string | undefined): string | null {
  return comment === undefined || comment === "" ? null : comment.replace(/^/gm, " ");
}
