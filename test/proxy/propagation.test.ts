import { type OutgoingHttpHeaders, request } from "node:http";
import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import { lanes } from "../kit/one-service.ts";

/** A caller in `acceptFrom`, and one that is not. */
const accepted = "127.0.0.2";
const untrusted = "127.0.0.1";

const nepxion = "header: { name: n-d-version, format: version, versions: { canary: '1.1', stable: '1.0' } }";

interface PropagationCase {
  readonly sentence: string;
  readonly from: string;
  readonly sent?: OutgoingHttpHeaders;
  readonly propagate?: string;
  readonly path?: string;
  readonly served: string;
  /** What of it the upstream received, by name. */
  readonly wanted: Readonly<Record<string, string>>;
}

const own = { "x-perch-release": "shop=stable", baggage: "perch.shop=stable" };

const cases: readonly PropagationCase[] = [
  { sentence: "the assigned version goes upstream", from: untrusted, served: "stable", wanted: own },
  {
    sentence: "an untrusted caller's versions are ignored and removed",
    from: untrusted,
    sent: {
      "X-Perch-Release": "shop=canary, other=v2",
      baggage: "a=1,perch.shop=canary,perch.other=v2",
      "n-d-version": "1.1",
    },
    served: "stable",
    wanted: { "x-perch-release": "shop=stable", baggage: "a=1,perch.shop=stable", "n-d-version": "1.1" },
  },
  {
    sentence: "an accepted caller's version counts, and those of other releases are passed on",
    from: accepted,
    sent: { "x-perch-release": "other=v2 , shop=canary,nonsense, other=v3" },
    served: "canary",
    wanted: { "x-perch-release": "shop=canary, other=v2", baggage: "perch.shop=canary" },
  },
  {
    sentence: "a header in several lines is one list",
    from: accepted,
    sent: { "x-perch-release": ["other=v2", "shop=canary"] },
    served: "canary",
    wanted: { "x-perch-release": "shop=canary, other=v2", baggage: "perch.shop=canary" },
  },
  {
    sentence: "baggage counts where the header has no version, and keeps its order",
    from: accepted,
    sent: { baggage: ["b=2, perch.shop=canary", "perch.other=v2,a=1"] },
    served: "canary",
    wanted: { "x-perch-release": "shop=canary", baggage: "b=2,perch.other=v2,a=1,perch.shop=canary" },
  },
  {
    sentence: "a version that the service lacks is served by its default, and propagated",
    from: accepted,
    sent: { "x-perch-release": "shop=v7" },
    served: "stable",
    wanted: { "x-perch-release": "shop=v7", baggage: "perch.shop=v7" },
  },
  {
    sentence: "an override takes precedence",
    from: accepted,
    sent: { "x-perch-release": "shop=stable", "x-perch-version": "canary" },
    served: "canary",
    wanted: { "x-perch-release": "shop=canary", baggage: "perch.shop=canary" },
  },
  {
    sentence: "a caller accepted by another release only is ignored for this one",
    from: "127.0.0.3",
    sent: { "x-perch-release": "shop=canary, third=v1, unknown=v2", baggage: "perch.shop=canary,perch.third=v1" },
    served: "stable",
    wanted: { "x-perch-release": "shop=stable, third=v1, unknown=v2", baggage: "perch.third=v1,perch.shop=stable" },
  },
  {
    sentence: "a route without a release passes on an accepted caller's versions",
    from: accepted,
    path: "/plain",
    sent: { "x-perch-release": "shop=canary, other=v2", baggage: "perch.shop=canary" },
    served: "stable",
    wanted: { "x-perch-release": "shop=canary, other=v2", baggage: "perch.shop=canary" },
  },
  {
    sentence: "a route without a release removes an untrusted caller's versions",
    from: untrusted,
    path: "/plain",
    sent: { "x-perch-release": "shop=canary", baggage: "perch.shop=canary", traceparent: "t" },
    served: "stable",
    wanted: {},
  },
  {
    sentence: "an external service receives none",
    from: accepted,
    path: "/external",
    sent: { "x-perch-release": "shop=canary, other=v2", baggage: "a=1,perch.other=v2" },
    served: "canary",
    wanted: { baggage: "a=1" },
  },
  {
    sentence: "a header with format version has the configured value",
    from: untrusted,
    propagate: nepxion,
    served: "stable",
    wanted: { "n-d-version": "1.0", baggage: "perch.shop=stable" },
  },
  {
    sentence: "an untrusted caller's header with format version is replaced",
    from: untrusted,
    propagate: nepxion,
    sent: { "N-D-Version": "1.1", "x-perch-release": "shop=canary" },
    served: "stable",
    wanted: { "n-d-version": "1.0", baggage: "perch.shop=stable" },
  },
  {
    sentence: "an accepted caller's value is read",
    from: accepted,
    propagate: nepxion,
    sent: { "n-d-version": "1.1" },
    served: "canary",
    wanted: { "n-d-version": "1.1", baggage: "perch.shop=canary" },
  },
  {
    sentence: "an unknown value is passed on unchanged",
    from: accepted,
    propagate: nepxion,
    sent: { "n-d-version": "2.7" },
    served: "stable",
    wanted: { "n-d-version": "2.7", baggage: "perch.shop=2.7" },
  },
  {
    sentence: "a map of values by service is read for this service, and passed on whole",
    from: accepted,
    propagate: nepxion,
    sent: { "n-d-version": '{"other":"2.0", "shop":"1.1"}' },
    served: "canary",
    wanted: { "n-d-version": '{"other":"2.0", "shop":"1.1"}', baggage: "perch.shop=canary" },
  },
  {
    sentence: "a map without this service gets its value",
    from: accepted,
    propagate: nepxion,
    sent: { "n-d-version": '{"other":"2.0","bad":"\\u0d0a","__proto__":"1.1"}' },
    served: "stable",
    wanted: { "n-d-version": '{"other":"2.0","shop":"1.0"}', baggage: "perch.shop=stable" },
  },
  {
    sentence: "a repeated header with format version counts as absent",
    from: accepted,
    propagate: nepxion,
    sent: { "n-d-version": ["1.1", "1.0"] },
    served: "stable",
    wanted: { "n-d-version": "1.0", baggage: "perch.shop=stable" },
  },
  {
    sentence: "without baggage only the header has the version, and a stale member is removed",
    from: accepted,
    propagate: "baggage: false",
    sent: { baggage: "perch.shop=canary,a=1" },
    served: "stable",
    wanted: { "x-perch-release": "shop=stable", baggage: "a=1" },
  },
];

const names = ["x-perch-release", "baggage", "n-d-version"];

describe.each(lanes)("propagated versions, in the $lane lane", ({ fastLane }) => {
  it.each(cases)("$sentence", async ({ from, sent = {}, propagate = "", path = "/", served, wanted }) => {
    const [stable, canary] = [await upstream("stable"), await upstream("canary")];
    const versions = `{ stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${canary.origin}"] } }`;
    const comma = propagate === "" ? "" : `${propagate}, `;
    const started = await perch(`
fastLane: ${fastLane}
services:
  shop: { versions: ${versions} }
  payments: { versions: ${versions}, external: true }
releases:
  shop:
    override: { header: x-perch-version, allowFrom: [${accepted}] }
    rules: [{ name: nobody, when: { header: { x-nobody: { exists: true } } }, use: canary }]
    split: { stable: 1, canary: 0 }
    propagate: { ${comma}acceptFrom: [${accepted}] }
  third: { propagate: { acceptFrom: [127.0.0.3] } }
routes:
  - { name: external, match: { path: { exact: /external } }, service: payments, release: shop }
  - { name: plain, match: { path: { exact: /plain } }, service: shop }
  - { name: third, match: { path: { exact: /third } }, service: shop, release: third }
  - { name: all, service: shop, release: shop }`);
    const { headers } = await get(started.origin + path, from, sent);
    expect(headers["x-upstream"]).toBe(served);
    const [seen] = [...stable.seen, ...canary.seen];
    const propagated = Object.entries(seen?.headers ?? {}).filter(([name]) => names.includes(name));
    expect(Object.fromEntries(propagated)).toEqual(wanted);
  });
});

describe("a version that a caller propagated", () => {
  it("sets no pin, and is counted as `other` where the release lacks it, so that no caller creates series", async () => {
    const stable = await upstream("stable");
    const started = await perch(`
services: { shop: { versions: { stable: { endpoints: ["${stable.origin}"] } } } }
releases: { shop: { propagate: { acceptFrom: [127.0.0.0/8] } } }
routes: [{ name: all, service: shop, release: shop }]`);
    for (const version of ["v7", "v8", "stable"]) {
      const { headers } = await fetch(started.origin, { headers: { "x-perch-release": `shop=${version}` } });
      expect(headers.get("set-cookie")).toBeNull();
    }
    const count = (version: string) =>
      started.metric(`perch_decisions_total{release="shop",version="${version}",reason="propagated"}`);
    expect(await count("other")).toBe(2);
    expect(await count("stable")).toBe(1);
    expect(await count("v7")).toBeUndefined();
  });
});

function get(url: string, localAddress: string, headers: OutgoingHttpHeaders) {
  const { promise, resolve, reject } = Promise.withResolvers<{ headers: Record<string, unknown> }>();
  const sent = request(url, { agent: false, localAddress, headers }, (response) => {
    response.resume().on("end", () => resolve({ headers: response.headers }));
  });
  sent.on("error", reject).end();
  return promise;
}
