import { describe, expect, it } from "vitest";
import { parseResolvConf, searchOrder } from "../../src/upstream/dns-lookup.ts";

const pod = `# written by the kubelet
nameserver 10.96.0.10
search shop.svc.cluster.local svc.cluster.local. cluster.local
options ndots:5 edns0`;

describe("parseResolvConf", () => {
  it.each([
    [
      "a Pod's",
      pod,
      { servers: ["10.96.0.10"], domains: ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"], dots: 5 },
    ],
    ["an empty one", "", { servers: [], domains: [], dots: 1 }],
    [
      "the last of several search lines",
      "search a.example\nsearch b.example",
      { servers: [], domains: ["b.example"], dots: 1 },
    ],
    ["a root domain", "search .", { servers: [], domains: [], dots: 1 }],
    ["options that are none", "options ndots: ndots:x rotate\nnameserver", { servers: [], domains: [], dots: 1 }],
  ])("reads %s", (_sentence, text, wanted) => {
    expect(parseResolvConf(text)).toEqual(wanted);
  });
});

describe("searchOrder", () => {
  const inPod = parseResolvConf(pod);
  it.each([
    ["a short name", "shop", ["shop.shop.svc.cluster.local", "shop.svc.cluster.local", "shop.cluster.local", "shop"]],
    [
      "a name with many dots",
      "a.b.c.d.e.f",
      [
        "a.b.c.d.e.f",
        "a.b.c.d.e.f.shop.svc.cluster.local",
        "a.b.c.d.e.f.svc.cluster.local",
        "a.b.c.d.e.f.cluster.local",
      ],
    ],
    ["a name that is whole", "shop.example.", ["shop.example"]],
  ])("of %s", (_sentence, name, wanted) => {
    expect(searchOrder(name, inPod)).toEqual(wanted);
  });
});
