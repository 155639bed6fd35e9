import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/decide/ip-address.ts";
import { Release } from "../../src/decide/release.ts";
import type { StickySpec } from "../../src/decide/release-spec.ts";
import {
  ann,
  annsUnit,
  betaToV3,
  bobsUnit,
  canaryUnit,
  decideCases,
  eastToCanary,
  fromEast,
  half,
  hold,
  newUnit,
  pinOfEast,
  stableUnit,
} from "./decision-case.ts";
import { nowMs, nowSeconds, pinOf, requestOf, seededRandom, shop, sticky } from "./shop-release.ts";

const pages: Partial<StickySpec> = { assets: "follow-document" };
const address = parseAddress("192.0.2.1");

/** A request from a page, with this Sec-Fetch-Dest. */
const loading = (destination: string, site = "same-origin") => ({
  clientAddress: address,
  headers: { "sec-fetch-dest": destination, "sec-fetch-site": site, "user-agent": "Firefox" },
});

/** The pin of a page that stable served before the weights moved its requester to the canary. */
const moved = pinOf({ version: "stable", unit: canaryUnit });

decideCases("assets: follow-document", [
  {
    sentence: "a script comes from the page's version after the weights changed, and writes no pin",
    sticky: pages,
    request: { ...loading("script"), pin: moved },
    wanted: { reason: "pin", version: "stable", pin: "keeps" },
  },
  {
    sentence: "so does an image of a page on another host of the same site",
    sticky: pages,
    request: { ...loading("image", "same-site"), pin: moved },
    wanted: { reason: "pin", version: "stable", pin: "keeps" },
  },
  {
    sentence: "so does a style sheet if that version no longer has weight: no other has the page's assets",
    release: { split: { stable: 0, canary: 1 } },
    sticky: pages,
    request: { ...loading("style"), pin: moved },
    wanted: { reason: "pin", version: "stable", pin: "keeps" },
  },
  {
    sentence: "an asset follows a page that a rule assigned, and names the rule",
    release: { rules: [eastToCanary] },
    sticky: pages,
    request: { ...loading("font"), pin: pinOfEast() },
    wanted: { reason: "pin", rule: "east", version: "canary", pin: "keeps" },
  },
  {
    sentence: "following the page outranks every rule",
    release: { rules: [betaToV3] },
    sticky: pages,
    request: { ...loading("script"), path: "/beta/app.js", pin: moved },
    wanted: { reason: "pin", version: "stable", pin: "keeps" },
  },
  {
    sentence: "an override outranks the page",
    sticky: pages,
    request: { ...loading("script"), override: "v3", pin: moved },
    wanted: { reason: "override", version: "v3", pin: "keeps" },
  },
  {
    sentence: "an asset of a page whose version was removed is drawn, and writes no pin",
    sticky: pages,
    request: { ...loading("script"), pin: pinOf({ version: "v2", unit: canaryUnit }) },
    wanted: { reason: "split", version: "canary", pin: "keeps" },
  },
  {
    sentence: "an asset whose pin has an older epoch is drawn, and writes no pin",
    sticky: pages,
    request: { ...loading("script"), pin: pinOf({ version: "stable", unit: canaryUnit, epoch: 2 }) },
    wanted: { reason: "split", version: "canary", pin: "keeps" },
  },
  {
    sentence: "a document follows the weights, and writes its version to the pin",
    sticky: pages,
    request: { ...loading("document", "none"), pin: moved },
    wanted: { reason: "split", version: "canary", pin: { version: "canary", unit: canaryUnit }, flipped: true },
  },
  {
    sentence: "a frame is a document itself",
    sticky: pages,
    request: { ...loading("iframe"), pin: moved },
    wanted: { reason: "split", version: "canary", pin: { version: "canary" }, flipped: true },
  },
  {
    sentence: "a call follows the weights, so that a rollback reaches open pages, but leaves the pin to the document",
    sticky: pages,
    request: { ...loading("empty"), pin: moved },
    wanted: { reason: "split", version: "canary", pin: "keeps" },
  },
  {
    sentence: "a call that a rule assigns writes the pin, for page loads without the facts that rules read",
    release: { rules: [eastToCanary] },
    sticky: pages,
    request: { ...loading("empty"), ...fromEast, pin: pinOf({ version: "stable", unit: stableUnit }) },
    wanted: { reason: "rule", rule: "east", version: "canary", pin: { version: "canary", how: "rule" }, flipped: true },
  },
  {
    sentence: "a call with a login writes the user to the pin",
    sticky: pages,
    request: { ...loading("empty"), attributes: { userId: ann }, pin: pinOf({ version: "stable", unit: stableUnit }) },
    wanted: { reason: "split", version: "canary", pin: { version: "canary" }, flipped: true },
  },
  {
    sentence: "an image that another site embeds follows no page",
    sticky: pages,
    request: { ...loading("image", "cross-site"), pin: moved },
    wanted: { reason: "split", version: "canary", pin: { version: "canary" }, flipped: true },
  },
  {
    sentence: "a client without Sec-Fetch headers gets a random unit as usual",
    sticky: pages,
    request: { clientAddress: address, headers: { "user-agent": "curl" } },
    wanted: { reason: "split", version: shopDraws(newUnit), pin: { unit: newUnit } },
  },
  {
    sentence: "without follow-document an asset is drawn like any request",
    request: { ...loading("script"), pin: moved },
    wanted: { reason: "split", version: "canary", pin: { version: "canary" }, flipped: true },
  },
]);

const whole: Partial<StickySpec> = { ...pages, fetches: "follow-document" };
const navigated = {
  clientAddress: address,
  headers: { "sec-fetch-dest": "empty", "sec-fetch-mode": "navigate", "sec-fetch-site": "same-origin" },
};
const handshake = (origin: string) => ({ clientAddress: address, headers: { upgrade: "websocket", origin } });
const toStable = { split: { stable: 1, canary: 0 } };
const onCanary = pinOf({ version: "canary", unit: canaryUnit });

decideCases("fetches: follow-document", [
  {
    sentence: "a call comes from the page's version after the weights changed, and writes no pin",
    sticky: whole,
    request: { ...loading("empty"), pin: moved },
    wanted: { reason: "pin", version: "stable", pin: "keeps" },
  },
  {
    sentence: "so it does after a rollback to weight zero under follow",
    release: toStable,
    sticky: whole,
    request: { ...loading("empty"), pin: onCanary },
    wanted: { reason: "pin", version: "canary", pin: "keeps" },
  },
  {
    sentence: "so it does at weight zero under hold, which evicts",
    release: toStable,
    sticky: { ...whole, ...hold },
    request: { ...loading("empty"), pin: onCanary },
    wanted: { reason: "pin", version: "canary", pin: "keeps" },
  },
  {
    sentence: "a higher epoch takes open pages away from their version",
    release: toStable,
    sticky: whole,
    request: { ...loading("empty"), pin: pinOf({ version: "canary", unit: canaryUnit, epoch: 2 }) },
    wanted: { reason: "split", version: "stable", pin: { version: "stable", epoch: 3 }, flipped: true },
  },
  {
    sentence: "so does removing the version",
    sticky: whole,
    request: { ...loading("empty"), pin: pinOf({ version: "v2", unit: canaryUnit }) },
    wanted: { reason: "split", version: "canary", pin: "keeps" },
  },
  {
    sentence: "the next document follows the weights",
    release: toStable,
    sticky: whole,
    request: { ...loading("document", "same-origin"), pin: onCanary },
    wanted: { reason: "split", version: "stable", pin: { version: "stable" }, flipped: true },
  },
  {
    sentence: "so does a document that a service worker passes on",
    release: toStable,
    sticky: whole,
    request: { ...navigated, pin: onCanary },
    wanted: { reason: "split", version: "stable", pin: { version: "stable" }, flipped: true },
  },
  {
    sentence: "a document that a service worker passes on writes the pin without fetches: follow-document, too",
    release: toStable,
    sticky: pages,
    request: { ...navigated, pin: onCanary },
    wanted: { reason: "split", version: "stable", pin: { version: "stable" }, flipped: true },
  },
  {
    sentence: "a WebSocket follows its page",
    sticky: whole,
    request: { ...loading("websocket"), pin: moved },
    wanted: { reason: "pin", version: "stable", pin: "keeps" },
  },
  {
    sentence: "so does one of a browser that sends no Sec-Fetch headers with it",
    sticky: whole,
    request: { ...handshake("https://shop.example.com"), pin: moved },
    wanted: { reason: "pin", version: "stable", pin: "keeps" },
  },
  {
    sentence: "a WebSocket of another host's page follows none",
    sticky: whole,
    request: { ...handshake("https://shop.example.com.evil.example"), pin: moved },
    wanted: { reason: "split", version: "canary", pin: { version: "canary" }, flipped: true },
  },
  {
    sentence: "a call of another site's page follows none",
    sticky: whole,
    request: { ...loading("empty", "cross-site"), pin: moved },
    wanted: { reason: "split", version: "canary", pin: "keeps" },
  },
  {
    sentence: "a client that is no browser follows none",
    sticky: whole,
    request: { clientAddress: address, pin: moved },
    wanted: { reason: "split", version: "canary", pin: { version: "canary" }, flipped: true },
  },
  {
    sentence: "a rule that matches a call is written beside the page's version",
    release: { rules: [eastToCanary] },
    sticky: whole,
    request: { ...loading("empty"), ...fromEast, pin: pinOf({ version: "stable", unit: stableUnit }) },
    wanted: { reason: "pin", version: "stable", pin: { version: "stable", how: "rule", rule: "east" } },
  },
  {
    sentence: "the next document, which carries nothing that rules read, gets the version of that rule",
    release: { rules: [eastToCanary] },
    sticky: whole,
    request: { ...loading("document"), pin: pinOfEast({ version: "stable" }) },
    wanted: { reason: "pin", rule: "east", version: "canary", pin: { version: "canary", how: "rule" }, flipped: true },
  },
  {
    sentence: "it does so under hold, since the rule gives the page's version no weight",
    release: { rules: [eastToCanary] },
    sticky: { ...whole, ...hold },
    request: { ...loading("document"), pin: pinOfEast({ version: "stable" }) },
    wanted: { reason: "pin", rule: "east", version: "canary", pin: { version: "canary", how: "rule" }, flipped: true },
  },
  {
    sentence: "a second call that the rule matches writes nothing more",
    release: { rules: [eastToCanary] },
    sticky: whole,
    request: { ...loading("empty"), ...fromEast, pin: pinOfEast({ version: "stable" }) },
    wanted: { reason: "pin", rule: "east", version: "stable", pin: "keeps" },
  },
  {
    sentence: "a login by a call writes the user beside the page's version",
    sticky: whole,
    request: { ...loading("empty"), attributes: { userId: ann }, pin: pinOf({ version: "stable", unit: stableUnit }) },
    wanted: { reason: "pin", version: "stable", pin: { version: "stable", unit: annsUnit } },
  },
  {
    sentence: "a login as another person ends the page: the call is decided for that person",
    sticky: whole,
    request: { ...loading("empty"), attributes: { userId: ann }, pin: pinOf({ version: "stable", unit: bobsUnit }) },
    wanted: { reason: "split", version: "canary", pin: { version: "canary", unit: annsUnit } },
  },
  {
    sentence: "an aging pin is renewed by a call, with the page's version",
    sticky: whole,
    request: { ...loading("empty"), pin: { ...moved, issuedAtSeconds: nowSeconds - 20 * 86_400 } },
    wanted: { reason: "pin", version: "stable", pin: { version: "stable", issuedAtSeconds: nowSeconds } },
  },
  {
    sentence: "an override outranks the page",
    sticky: whole,
    request: { ...loading("empty"), override: "v3", pin: moved },
    wanted: { reason: "override", version: "v3", pin: "keeps" },
  },
]);

const withHeader = (destination: string, name: string, value: string) => {
  const { headers, ...request } = loading(destination);
  return { ...request, headers: { ...headers, [name]: value } };
};
const prefetching = (destination: string, purpose = "prefetch") => withHeader(destination, "sec-purpose", purpose);

const speculative = (referer: string | undefined) => ({
  clientAddress: address,
  headers: {
    "sec-fetch-dest": "document",
    "sec-fetch-site": "none",
    "sec-purpose": "prefetch",
    ...(referer !== undefined && { referer }),
  },
});

decideCases("a prefetch", [
  {
    sentence: "of a document comes from the page's version after the weights changed, and leaves the page its pin",
    sticky: pages,
    request: { ...prefetching("document"), pin: moved },
    wanted: { reason: "pin", version: "stable", pin: "keeps" },
  },
  {
    sentence: "so does a prerendered one",
    release: toStable,
    sticky: { ...whole, ...hold },
    request: { ...prefetching("document", "prefetch;prerender"), pin: onCanary },
    wanted: { reason: "pin", version: "canary", pin: "keeps" },
  },
  {
    sentence: "of a script, whose destination is empty, comes from the page's version",
    sticky: pages,
    request: { ...prefetching("empty"), pin: moved },
    wanted: { reason: "pin", version: "stable", pin: "keeps" },
  },
  {
    sentence: "of a document that a rule assigns is decided as usual",
    release: { rules: [betaToV3] },
    sticky: pages,
    request: { ...prefetching("document"), path: "/beta/x", pin: moved },
    wanted: { reason: "rule", rule: "beta", version: "v3", pin: { version: "v3" }, flipped: true },
  },
  {
    sentence: "of a document whose pin has an older epoch is decided as usual",
    sticky: pages,
    request: { ...prefetching("document"), pin: pinOf({ version: "stable", unit: canaryUnit, epoch: 2 }) },
    wanted: { reason: "split", version: "canary", pin: { version: "canary" }, flipped: true },
  },
  {
    sentence: "by speculation rules, which says that no site sent it, is known by its Referer",
    sticky: pages,
    request: { ...speculative("https://shop.example.com/page"), pin: moved },
    wanted: { reason: "pin", version: "stable", pin: "keeps" },
  },
  {
    sentence: "from the address bar is decided as usual",
    sticky: pages,
    request: { ...speculative(undefined), pin: moved },
    wanted: { reason: "split", version: "canary", pin: { version: "canary" }, flipped: true },
  },
  {
    sentence: "by speculation rules of another host's page is decided as usual",
    sticky: pages,
    request: { ...speculative("https://shop.example.com@evil.example/"), pin: moved },
    wanted: { reason: "split", version: "canary", pin: { version: "canary" }, flipped: true },
  },
  {
    sentence: "of another site's page follows none",
    sticky: pages,
    request: {
      clientAddress: address,
      headers: { "sec-fetch-dest": "document", "sec-fetch-site": "cross-site", "sec-purpose": "prefetch" },
      pin: moved,
    },
    wanted: { reason: "split", version: "canary", pin: { version: "canary" }, flipped: true },
  },
  {
    sentence: "is decided like any request without follow-document",
    request: { ...prefetching("document"), pin: moved },
    wanted: { reason: "split", version: "canary", pin: { version: "canary" }, flipped: true },
  },
]);

decideCases("a frame, with fetches: follow-document,", [
  {
    sentence: "comes from the version of the page that loads it, and leaves the page its pin",
    sticky: whole,
    request: { ...loading("iframe"), pin: moved },
    wanted: { reason: "pin", version: "stable", pin: "keeps" },
  },
  {
    sentence: "of another site's page is a document",
    sticky: whole,
    request: { ...loading("iframe", "cross-site"), pin: moved },
    wanted: { reason: "split", version: "canary", pin: { version: "canary" }, flipped: true },
  },
  {
    sentence: "in which the user follows a link is a document",
    sticky: whole,
    request: { ...withHeader("iframe", "sec-fetch-user", "?1"), pin: moved },
    wanted: { reason: "split", version: "canary", pin: { version: "canary" }, flipped: true },
  },
]);

const withPaths: Partial<StickySpec> = { ...pages, assetPaths: ["/_next/static", "/pkg"] };

decideCases("assetPaths", [
  {
    sentence: "WASM that a script fetches comes from the page's version",
    sticky: withPaths,
    request: { ...loading("empty"), path: "/pkg/app_bg-abc123.wasm", pin: moved },
    wanted: { reason: "pin", version: "stable", pin: "keeps" },
  },
  {
    sentence: "so does an asset over plain http, where browsers do not say what it is",
    sticky: withPaths,
    request: { path: "/_next/static/chunks/1.js", pin: moved },
    wanted: { reason: "pin", version: "stable", pin: "keeps" },
  },
  {
    sentence: "the prefix itself is one",
    sticky: withPaths,
    request: { ...loading("document"), path: "/pkg", pin: moved },
    wanted: { reason: "pin", version: "stable", pin: "keeps" },
  },
  {
    sentence: "a longer segment is none",
    sticky: withPaths,
    request: { ...loading("document"), path: "/pkgs/a", pin: moved },
    wanted: { reason: "split", version: "canary", pin: { version: "canary" }, flipped: true },
  },
  {
    sentence: "a first request for one sets no pin",
    sticky: withPaths,
    request: { path: "/pkg/a.wasm", clientAddress: address },
    wanted: { reason: "split", version: "canary", pin: "keeps" },
  },
]);

function shopDraws(unit: typeof newUnit): string {
  const release = new Release({ ...shop, split: half });
  return release.decide(requestOf({ pin: pinOf({ unit }) })).version;
}

describe("a first page load, without a pin", () => {
  const release = () => new Release({ ...shop, sticky: { ...sticky, ...pages, by: undefined } });
  const decide = (replica: Release, destination: string, seed: number) =>
    replica.decide(requestOf({ ...loading(destination), random: seededRandom(seed), nowMs }));

  it("gets one version on every replica in any order, and only its document and calls write the pin", () => {
    const replicas = [release(), release()] as const;
    const decisions = ["image", "document", "script", "empty", "font"].map((destination, at) =>
      decide(replicas[at % 2 === 0 ? 0 : 1], destination, at),
    );
    const [first] = decisions;
    expect(new Set(decisions.map(({ version }) => version)).size).toBe(1);
    expect(decisions.map(({ unit }) => unit)).toEqual(decisions.map(() => first?.unit));
    expect(decisions.map(({ pin }) => pin !== undefined)).toEqual([false, true, false, true, false]);
    expect(decisions[1]?.pin).toEqual(decisions[3]?.pin);
  });
});
