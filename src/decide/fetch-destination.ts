import type { Facts } from "./facts.ts";

/**
 * What a request fetches for its page, by Sec-Fetch-Dest (W3C Fetch Metadata): a document, an asset that the document
 * embeds, or a call that its scripts make.
 */
export type FetchDestination = "document" | "asset" | "call";

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

/**
 * Undefined if a browser did not say. Every browser since 2023 sends Sec-Fetch-Dest over https and to localhost, and
 * scripts cannot set it.
 */
export function fetchDestination(facts: Facts): FetchDestination | undefined {
  const destination = facts.header("sec-fetch-dest");
  if (destination === undefined) return isPageWebSocket(facts) ? "call" : undefined;
  if (calls.has(destination)) {
    // A navigation that a service worker passes on by `fetch(event.request)` keeps its mode, not its destination (Fetch,
    // "new Request"). Scripts cannot set this mode.
    return facts.header("sec-fetch-mode") === "navigate" ? "document" : "call";
  }
  return assets.has(destination) && isOfPage(facts) ? "asset" : "document";
}

/**
 * Whether a page of this site sent the request. A page of another site was not served by a version of this release, so
 * what it loads has no document to follow.
 */
export function isOfPage(facts: Facts): boolean {
  const site = facts.header("sec-fetch-site");
  return site === undefined ? isPageWebSocket(facts) : site === "same-origin" || site === "same-site";
}

/** Chromium sends no Sec-Fetch headers with a WebSocket's handshake, but every browser sends Origin (RFC 6455 §4.1). */
function isPageWebSocket(facts: Facts): boolean {
  if (facts.header("upgrade")?.toLowerCase() !== "websocket") return false;
  const [, host] = /^https?:\/\/([^/:]+|\[[^\]]*\])(?::\d+)?$/.exec(facts.header("origin") ?? "") ?? [];
  return host === facts.host;
}
