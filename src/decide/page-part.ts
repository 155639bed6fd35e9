import type { Facts } from "./facts.ts";

/**
 * What a request is to the page that it belongs to, as the browser says in Sec-Fetch-Dest (W3C Fetch Metadata): a document,
 * something that the document needs to be what it is, or a call that its scripts make. Undefined where nobody says: the
 * header is sent over https and to localhost, by every browser since 2023, and no script can set it.
 */
export type PagePart = "document" | "asset" | "call";

const assets: ReadonlySet<string> = new Set([
  "audio",
  "audioworklet",
  "dictionary",
  "font",
  "image",
  "json",
  "manifest",
  "paintworklet",
  "script",
  "serviceworker",
  "sharedworker",
  "style",
  "text",
  "track",
  "video",
  "worker",
  "xslt",
]);

const calls: ReadonlySet<string> = new Set(["empty", "report", "webidentity", "websocket"]);

export function pagePart(facts: Facts): PagePart | undefined {
  const destination = facts.header("sec-fetch-dest");
  if (destination === undefined) return undefined;
  if (calls.has(destination)) return "call";
  return assets.has(destination) && isOfThisSite(facts) ? "asset" : "document";
}

/** Another site's page has no version of ours, whatever it shows of us. */
function isOfThisSite(facts: Facts): boolean {
  const site = facts.header("sec-fetch-site");
  return site === "same-origin" || site === "same-site";
}
