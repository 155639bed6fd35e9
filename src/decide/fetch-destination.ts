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

/**
 * Whether a page of this site only prepares a navigation: it stays open, perhaps for good. By speculation rules Chromium
 * sends `Sec-Fetch-Site: none`, as from the address bar, but with a Referer.
 */
export function isPrefetch(facts: Facts): boolean {
  if (facts.header("sec-purpose")?.startsWith("prefetch") !== true) return false;
  return (
    isOfPage(facts) || (facts.header("sec-fetch-site") === "none" && hostOf(facts.header("referer")) === facts.host)
  );
}

const frames: ReadonlySet<string> = new Set(["embed", "fencedframe", "frame", "iframe", "object"]);

/** Whether a page loads a frame. A user who follows a link within one navigates. */
export function isFrame(facts: Facts): boolean {
  return frames.has(facts.header("sec-fetch-dest") ?? "") && facts.header("sec-fetch-user") !== "?1";
}

/** Chromium sends no Sec-Fetch headers with a WebSocket's handshake, but every browser sends Origin (RFC 6455 §4.1). */
function isPageWebSocket(facts: Facts): boolean {
  if (facts.header("upgrade")?.toLowerCase() !== "websocket") return false;
  return hostOf(facts.header("origin")) === facts.host;
}

/** The host of an origin or a URL as browsers write them. */
function hostOf(url: string | undefined): string | undefined {
  return /^https?:\/\/([^/:@]+|\[[^\]]*\])(?::\d+)?(?:\/|$)/.exec(url ?? "")?.[1];
}
