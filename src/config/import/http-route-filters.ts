import { type Draft, headerEdits, type YamlMap, type YamlValue } from "./draft.ts";
import { type Loose, mapIn, mapsIn, numberIn, textIn, textsIn } from "./manifests.ts";

/** The keys of a Perch route for the filters of a rule. */
export function filterSettings(filters: unknown, where: string, draft: Draft): Record<string, YamlValue> {
  const settings: Record<string, YamlValue> = {};
  for (const filter of mapsIn(filters)) {
    switch (textIn(filter["type"])) {
      case "RequestHeaderModifier":
        Object.assign(settings, modifierEdits("requestHeaders", mapIn(filter["requestHeaderModifier"]), where, draft));
        break;
      case "ResponseHeaderModifier":
        Object.assign(
          settings,
          modifierEdits("responseHeaders", mapIn(filter["responseHeaderModifier"]), where, draft),
        );
        break;
      case "RequestRedirect":
        settings["redirect"] = redirect(mapIn(filter["requestRedirect"]));
        break;
      case "URLRewrite":
        Object.assign(settings, rewrite(mapIn(filter["urlRewrite"]), where, draft));
        break;
      case "RequestMirror":
        draft.note(
          where,
          "RequestMirror is not imported: add `mirror: { version, percent }` to the release, with the version that it names",
        );
        break;
      default:
        draft.note(where, `the filter ${textIn(filter["type"])}: no equivalent`);
    }
  }
  return settings;
}

function modifierEdits(
  key: "requestHeaders" | "responseHeaders",
  modifier: Loose,
  where: string,
  draft: Draft,
): YamlMap {
  const pairs = (list: unknown) =>
    mapsIn(list).map((field) => [textIn(field["name"]), textIn(field["value"])] as const);
  const { set, add, remove } = modifier;
  const edits = headerEdits({ set: pairs(set), add: pairs(add), remove: textsIn(remove) }, where, draft);
  return Object.keys(edits).length === 0 ? {} : { [key]: edits };
}

function redirect(filter: Loose): YamlMap {
  const path = mapIn(filter["path"]);
  const port = numberIn(filter["port"]);
  return {
    ...(textIn(filter["scheme"]) === "" ? {} : { scheme: textIn(filter["scheme"]) }),
    ...(textIn(filter["hostname"]) === "" ? {} : { host: textIn(filter["hostname"]) }),
    ...(port === undefined ? {} : { port }),
    ...(textIn(path["type"]) === "ReplaceFullPath" ? { path: textIn(path["replaceFullPath"]) } : {}),
    ...(textIn(path["type"]) === "ReplacePrefixMatch" ? { prefix: textIn(path["replacePrefixMatch"]) || "/" } : {}),
    status: numberIn(filter["statusCode"]) ?? 302,
  };
}

function rewrite(filter: Loose, where: string, draft: Draft): Record<string, YamlValue> {
  const path = mapIn(filter["path"]);
  const host = textIn(filter["hostname"]);
  const edits: Record<string, YamlValue> = {};
  if (host !== "") edits["host"] = host;
  if (textIn(path["type"]) === "ReplacePrefixMatch") edits["prefix"] = textIn(path["replacePrefixMatch"]) || "/";
  if (textIn(path["type"]) === "ReplaceFullPath") {
    draft.note(where, "URLRewrite to a full path is not imported: the path stays unchanged");
  }
  return Object.keys(edits).length === 0 ? {} : { rewrite: edits };
}
