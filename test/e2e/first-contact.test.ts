/** @module-tag slow */
import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import { lanes } from "../kit/one-service.ts";
import { changeablePerch, freePorts } from "../kit/served.ts";
import { Visitor } from "../kit/visitor.ts";

const crowd = Array.from({ length: 30 }, (_, at) => ({
  "x-forwarded-for": `198.51.100.${at}`,
  "user-agent": "Firefox",
}));

const loading = (destination: string, more: Readonly<Record<string, string>> = {}) => ({
  ...more,
  "sec-fetch-dest": destination,
  "sec-fetch-site": destination === "document" ? "none" : "same-origin",
});

async function shop(more: string, sticky = "assets: follow-document") {
  const [stable, canary] = [await upstream("stable"), await upstream("canary")];
  return (split: string, epoch = "") => `${more}
trustedProxies: [127.0.0.0/8]
services:
  shop: { versions: { stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${canary.origin}"] } } }
releases: { shop: { sticky: { ${sticky}${epoch} }, split: ${split} } }
routes: [{ name: all, service: shop, release: shop }]
`;
}

describe.each(lanes)("assets of a page, in the $lane lane", ({ fastLane }) => {
  it("come from the page's version before there is a pin, and set none", async () => {
    const { origin } = await perch((await shop(`fastLane: ${fastLane}`))("{ stable: 50, canary: 50 }"));
    const versions = new Set<string>();
    for (const browser of crowd) {
      const visit = (destination: string) => new Visitor().get(origin, loading(destination, browser));
      const document = await visit("document");
      const parts = await Promise.all(["script", "style", "image", "font"].map(visit));
      expect(document.setCookie).toHaveLength(1);
      expect(parts.map(({ version }) => version)).toEqual(parts.map(() => document.version));
      expect(parts.flatMap(({ setCookie }) => setCookie)).toEqual([]);
      versions.add(document.version);
    }
    expect(versions.size).toBe(2);
  });

  it("come from the page's version after the weights change, until the next document", async () => {
    const config = await shop(`${freePorts}fastLane: ${fastLane}`);
    const started = await changeablePerch(config("{ stable: 1, canary: 0 }"));
    const { origin } = started.perch;
    const visitor = new Visitor();
    const visit = async (destination: string) => {
      const { version, setCookie } = await visitor.get(origin, loading(destination));
      return `${version}${setCookie.length === 0 ? "" : ", pinned"}`;
    };
    expect(await visit("document")).toBe("stable, pinned");
    await started.change(config("{ stable: 0, canary: 1 }"));
    expect(await visit("script")).toBe("stable");
    expect(await visit("empty")).toBe("canary");
    expect(await visit("image")).toBe("stable");
    expect(await started.perch.metric('perch_pin_flips_total{release="shop"}')).toBe(0);
    expect(await visit("document")).toBe("canary, pinned");
    expect(await visit("script")).toBe("canary");
    expect(await started.perch.metric('perch_pin_flips_total{release="shop"}')).toBe(1);
  });
});

describe.each(lanes)("what a page fetches, in the $lane lane", ({ fastLane }) => {
  it.each(["follow", "hold"])(
    "%s: comes from the page's version until the next document or a higher epoch",
    async (mode) => {
      const sticky = `assets: follow-document, fetches: follow-document, whenWeightsChange: ${mode}`;
      const config = await shop(`${freePorts}fastLane: ${fastLane}`, sticky);
      const started = await changeablePerch(config("{ stable: 0, canary: 1 }"));
      const { origin } = started.perch;
      const [open, navigating] = [new Visitor(), new Visitor()];
      const visit = async (visitor: Visitor, destination: string) => {
        const { version, setCookie } = await visitor.get(origin, loading(destination));
        return `${version}${setCookie.length === 0 ? "" : ", pinned"}`;
      };
      for (const visitor of [open, navigating]) expect(await visit(visitor, "document")).toBe("canary, pinned");
      await started.change(config("{ stable: 1, canary: 0 }"));
      for (const visitor of [open, navigating]) expect(await visit(visitor, "empty")).toBe("canary");
      expect(await visit(navigating, "document")).toBe("stable, pinned");
      expect(await visit(navigating, "empty")).toBe("stable");
      await started.change(config("{ stable: 1, canary: 0 }", ", epoch: 2"));
      expect(await visit(open, "empty")).toBe("stable, pinned");
    },
  );
});
