import { describe, expect, it } from "vitest";
import {
  type EndpointQuery,
  type EndpointSlice,
  maxEndpoints,
  readEndpoints,
} from "../../src/kubernetes/endpoint-slices.ts";
import { type DraftEndpoint, type DraftSlice, endpointSlice } from "../kit/endpoint-slices.ts";

const ports = { http: 8080 };
const stored = (slice: object) => slice as unknown as EndpointSlice;

function read(slices: readonly (Partial<DraftSlice> | { readonly raw: object })[], query: Partial<EndpointQuery> = {}) {
  const made = slices.map((slice, index) =>
    stored(
      "raw" in slice
        ? { metadata: { name: `shop-${index}` }, ...slice.raw }
        : endpointSlice({ name: `shop-${index}`, ports, endpoints: [], ...slice }),
    ),
  );
  const { used, ...rest } = readEndpoints(made, { port: "http", zone: undefined, ...query });
  return {
    used: used.map(({ address, port }) => `${address.includes(":") ? `[${address}]` : address}:${port}`),
    ...rest,
  };
}

const used = (endpoints: readonly DraftEndpoint[], query?: Partial<EndpointQuery>) => read([{ endpoints }], query).used;

/** Ready, and hinted for these zones. */
const inZones = (address: string, ...zones: readonly string[]): DraftEndpoint => ({ address, zones });

const ready = { ready: true, serving: true, terminating: false };
const leaving = { ready: false, serving: true, terminating: true };
const gone = { ready: false, serving: false, terminating: true };
const starting = { ready: false, serving: false, terminating: false };

describe("new requests go to", () => {
  const cases: readonly {
    readonly sentence: string;
    readonly states: readonly object[];
    readonly used: readonly number[];
  }[] = [
    { sentence: "the ready endpoints", states: [ready, starting, ready], used: [1, 3] },
    { sentence: "none that terminates while one is ready", states: [leaving, leaving, ready], used: [3] },
    { sentence: "those that terminate and serve, if none is ready", states: [leaving, gone, starting], used: [1] },
    { sentence: "nobody, if none serves", states: [gone, starting], used: [] },
    {
      sentence: "endpoints whose state nobody knows",
      states: [{ ready: null, serving: null, terminating: null }],
      used: [1],
    },
    {
      sentence: "one that terminates, if nobody knows whether it serves",
      states: [{ ...leaving, serving: null }],
      used: [1],
    },
    {
      sentence: "terminating endpoints that a Service publishes as ready",
      states: [{ ...leaving, ready: true }, ready],
      used: [1, 2],
    },
  ];
  it.each(cases)("$sentence", ({ states, used: wanted }) => {
    const endpoints = states.map((state, index) => ({ address: `10.0.0.${index + 1}`, ...state }));
    expect(used(endpoints)).toEqual(wanted.map((number) => `10.0.0.${number}:8080`));
  });

  it("an endpoint without conditions, and only by its first address", () => {
    const endpoints = [{ addresses: ["10.0.0.1", "10.0.0.2"] }];
    const { used } = read([{ raw: { addressType: "IPv4", ports: [{ name: "http", port: 80 }], endpoints } }]);
    expect(used).toEqual(["10.0.0.1:80"]);
  });
});

describe("several slices", () => {
  it("are one list, in which the order of slices and endpoints does not matter", () => {
    const [one, two] = [{ endpoints: [{ address: "10.0.0.2" }] }, { endpoints: [{ address: "10.0.0.1" }] }];
    expect(read([one, two]).used).toEqual(["10.0.0.1:8080", "10.0.0.2:8080"]);
    expect(read([two, one]).used).toEqual(["10.0.0.1:8080", "10.0.0.2:8080"]);
  });

  it.each([
    { earlier: starting, later: ready, counts: { ready: 1, terminating: 0, notReady: 0 } },
    { earlier: ready, later: leaving, counts: { ready: 0, terminating: 1, notReady: 0 } },
    { earlier: starting, later: leaving, counts: { ready: 0, terminating: 1, notReady: 0 } },
  ])(
    "that both have an endpoint during a move: the later state counts, once ($counts)",
    ({ earlier, later, counts }) => {
      const [one, two] = [earlier, later].map((state) => ({ endpoints: [{ address: "10.0.0.1", ...state }] }));
      if (one === undefined || two === undefined) throw new Error("two");
      expect(read([one, two])).toMatchObject({ used: ["10.0.0.1:8080"], counts });
      expect(read([two, one])).toMatchObject({ used: ["10.0.0.1:8080"], counts });
    },
  );

  it("may have other port numbers, as while the targetPort changes", () => {
    const old = { endpoints: [{ address: "10.0.0.1" }] };
    expect(read([old, { ports: { http: 9090 }, endpoints: [{ address: "10.0.0.2" }] }]).used).toEqual([
      "10.0.0.1:8080",
      "10.0.0.2:9090",
    ]);
  });
});

describe("with both address families", () => {
  const four = (endpoints: readonly DraftEndpoint[]) => ({ endpoints });
  const six = (endpoints: readonly DraftEndpoint[]) => ({ addressType: "IPv6", endpoints });

  it("a Pod counts once, by its IPv4 address", () => {
    const slices = [
      six([
        { address: "fd00::1", pod: "a" },
        { address: "fd00::2", pod: "b" },
      ]),
      four([
        { address: "10.0.0.1", pod: "a" },
        { address: "10.0.0.2", pod: "b" },
      ]),
    ];
    const ready = { ready: 2, terminating: 0, notReady: 0 };
    expect(read(slices)).toEqual({ used: ["10.0.0.1:8080", "10.0.0.2:8080"], counts: ready, problems: [] });
  });

  it("a Pod that has only an IPv6 address is used by it", () => {
    const slices = [four([{ address: "10.0.0.1", pod: "a" }]), six([{ address: "fd00::2", pod: "b" }])];
    expect(read(slices).used).toEqual(["10.0.0.1:8080", "[fd00::2]:8080"]);
  });

  it("endpoints that are no Pods are told apart by their addresses", () => {
    expect(read([four([{ address: "10.0.0.1" }]), six([{ address: "fd00::1" }])]).used).toEqual([
      "10.0.0.1:8080",
      "[fd00::1]:8080",
    ]);
  });
});

describe("hints for zones", () => {
  const near = inZones("10.0.0.1", "a");
  const both = inZones("10.0.0.2", "b", "a");
  const far = inZones("10.0.0.3", "b");

  it("prefer the endpoints for the own zone", () => {
    expect(used([near, both, far], { zone: "a" })).toEqual(["10.0.0.1:8080", "10.0.0.2:8080"]);
  });

  it.each([
    { sentence: "the own zone is not known", endpoints: [near, far], zone: undefined },
    { sentence: "none is for the own zone", endpoints: [near, far], zone: "c" },
    { sentence: "a ready endpoint has none", endpoints: [near, inZones("10.0.0.3")], zone: "a" },
    { sentence: "a ready endpoint has none at all", endpoints: [near, { address: "10.0.0.3" }], zone: "a" },
  ])("count for nothing if $sentence", ({ endpoints, zone }) => {
    expect(used(endpoints, { zone })).toEqual(["10.0.0.1:8080", "10.0.0.3:8080"]);
  });

  it("are asked of ready endpoints only", () => {
    expect(used([near, far, { address: "10.0.0.4", ready: false }], { zone: "a" })).toEqual(["10.0.0.1:8080"]);
    expect(
      used(
        [
          { ...near, ...leaving },
          { ...far, ...leaving },
        ],
        { zone: "a" },
      ),
    ).toHaveLength(2);
  });
});

describe("a port", () => {
  const slices = [{ ports: { http: 8080, metrics: 9090 }, endpoints: [{ address: "10.0.0.1" }] }];

  it("is found by its name or number", () => {
    expect(read(slices, { port: "metrics" }).used).toEqual(["10.0.0.1:9090"]);
    expect(read(slices, { port: 8080 }).used).toEqual(["10.0.0.1:8080"]);
  });

  it("need not be said where there is one", () => {
    expect(read([{ ports: { "": 8080 }, endpoints: [{ address: "10.0.0.1" }] }], { port: undefined }).used).toEqual([
      "10.0.0.1:8080",
    ]);
  });

  it.each([
    { port: "htpp", problem: 'its EndpointSlices have no port "htpp": there are http 8080, metrics 9090' },
    { port: 80, problem: 'its EndpointSlices have no port "80": there are http 8080, metrics 9090' },
    {
      port: undefined,
      problem: "its EndpointSlices have not exactly one port, so say which: there are http 8080, metrics 9090",
    },
  ])("that is not there ($port) is told, with those that are", ({ port, problem }) => {
    expect(read(slices, { port })).toMatchObject({ used: [], problems: [problem] });
  });

  it("is no matter while the Service has no Pods", () => {
    expect(read([{ ports: {}, endpoints: [] }]).problems).toEqual([]);
  });

  it.each([
    { what: "null", ports: null },
    { what: "missing", ports: undefined },
    { what: "without a number", ports: [{ name: "http" }] },
    { what: "null in its number", ports: [{ name: "http", port: null }] },
    { what: "0", ports: [{ name: "http", port: 0 }] },
    { what: "too large", ports: [{ name: "http", port: 65_536 }] },
    { what: "a text", ports: [{ name: "http", port: "80" }] },
    { what: "null as a whole", ports: [null] },
    { what: "by UDP", ports: [{ name: "http", port: 53, protocol: "UDP" }] },
  ])("$what is no port", ({ ports }) => {
    const raw = { addressType: "IPv4", ports, endpoints: [{ addresses: ["10.0.0.1"] }] };
    expect(read([{ raw }])).toMatchObject({
      used: [],
      problems: ['its EndpointSlices have no port "http": they have no TCP port'],
    });
  });
});

describe("odd slices", () => {
  it("no slices at all are told", () => {
    expect(read([]).problems).toEqual(["it has no EndpointSlices: is there such a Service, and has it a selector?"]);
  });

  it.each(["FQDN", "IPv9", ""])("of the addressType %j are ignored, and told", (addressType) => {
    const slices = [
      { addressType, endpoints: [{ address: "shop.example" }] },
      { endpoints: [{ address: "10.0.0.1" }] },
    ];
    expect(read(slices)).toMatchObject({
      used: ["10.0.0.1:8080"],
      problems: [`the EndpointSlice shop-0 is ignored: its addressType is ${JSON.stringify(addressType)}`],
    });
  });

  it.each([
    { what: "a name", addresses: ["shop.example"] },
    { what: "of the other family", addresses: ["fd00::1"] },
    { what: "with a port", addresses: ["10.0.0.9:80"] },
    { what: "a URL's part", addresses: ["10.0.0.9/?"] },
    { what: "not decimal", addresses: ["0x7f.1"] },
    { what: "an empty list", addresses: [] },
    { what: "null", addresses: null },
    { what: "a number", addresses: [7] },
  ])("an address that is $what is left out, and told", ({ addresses }) => {
    const endpoints = [{ addresses }, { addresses: ["10.0.0.1"] }, null];
    expect(read([{ raw: { addressType: "IPv4", ports: [{ name: "http", port: 80 }], endpoints } }])).toMatchObject({
      used: ["10.0.0.1:80"],
      problems: ["the EndpointSlice shop-0 has an endpoint that is not an IPv4 address"],
    });
  });

  it("an IPv6 address with a zone of its own is left out: it would not be one of the network", () => {
    expect(read([{ addressType: "IPv6", endpoints: [{ address: "fe80::1%lo" }] }]).used).toEqual([]);
  });

  it("more endpoints than a cluster has are not all kept", () => {
    const slices = Array.from({ length: 11 }, (_, slice) => ({
      endpoints: Array.from({ length: 1_000 }, (_, index) => ({ address: `10.${slice}.${index >> 8}.${index & 255}` })),
    }));
    const { used, problems } = read(slices);
    expect(used).toHaveLength(maxEndpoints);
    expect(problems).toEqual([`only the first ${maxEndpoints} endpoints are used`]);
  });

  it("a hundred odd slices are not a hundred problems", () => {
    expect(read(Array.from({ length: 100 }, () => ({ addressType: "FQDN" }))).problems.length).toBeLessThanOrEqual(5);
  });
});
