import { describe, expect, it } from "vitest";
import { PlainHead, type PlainRequest } from "../../src/http/plain-head.ts";
import { repeated } from "../../src/http/request-head.ts";

function read(request: PlainRequest): PlainHead {
  const head = PlainHead.read(request);
  if ("problem" in head) throw new Error(head.problem);
  return head;
}

describe("PlainHead", () => {
  it.each<{ sentence: string; request: PlainRequest; wanted: Partial<PlainHead> }>([
    {
      sentence: "is a GET by http by default",
      request: { url: "/cart?x=1&y=?" },
      wanted: { method: "GET", target: "/cart?x=1&y=?", path: "/cart", query: "x=1&y=?", scheme: "http", host: "" },
    },
    {
      sentence: "takes its host from the Host header, without port and in lower case",
      request: { url: "/", headers: { Host: "Shop.Example.com:8443" } },
      wanted: { authority: "Shop.Example.com:8443", host: "shop.example.com" },
    },
    {
      sentence: "takes its host from an absolute URL even if there is a Host header",
      request: { url: "https://shop.example.com/a", headers: { host: "other.example.com" } },
      wanted: { target: "/a", host: "shop.example.com", scheme: "https" },
    },
    {
      sentence: "has the path / for an absolute URL without a path, with its query and without its fragment",
      request: { url: "http://shop.example.com?a=b#c" },
      wanted: { target: "/?a=b", path: "/", query: "a=b" },
    },
    {
      sentence: "drops the fragment of a path",
      request: { url: "/a#b?c" },
      wanted: { target: "/a", path: "/a", query: "" },
    },
    {
      sentence: "has the given scheme, not the URL's",
      request: { url: "http://shop.example.com/", scheme: "https" },
      wanted: { scheme: "https" },
    },
    {
      sentence: "has its Cookie lines joined",
      request: { url: "/", headers: { cookie: ["a=1", "b=2"] } },
      wanted: { cookies: "a=1; b=2" },
    },
    {
      sentence: "keeps non-ASCII bytes unchanged",
      request: { url: "/caf\u00c3\u00a9", method: "PURGE" },
      wanted: { path: "/caf\u00c3\u00a9", method: "PURGE" },
    },
  ])("$sentence", ({ request, wanted }) => {
    expect(read(request)).toMatchObject(wanted);
  });

  it("accepts headers as an object, as pairs and as fetch's Headers", () => {
    const pairs: [string, string][] = [["X-Region", " cn-east\t"]];
    for (const headers of [Object.fromEntries(pairs), pairs, new Headers(pairs)]) {
      expect(read({ url: "/", headers }).header("x-region")).toBe("cn-east");
    }
  });

  it("distinguishes a header with several lines, in any case, from an absent one", () => {
    const head = read({ url: "/", headers: { "X-A": "1", "x-a": ["2", "3"], "x-b": undefined } });
    expect(head.header("x-a")).toBe(repeated);
    expect(head.headerLines("x-a")).toEqual(["1", "2", "3"]);
    expect(head.header("x-b")).toBeUndefined();
    expect(head.headerLines("x-b")).toEqual([]);
  });
});

describe("PlainHead.read reports a problem", () => {
  it.each<{ sentence: string; request: PlainRequest; problem: RegExp }>([
    { sentence: "without a path", request: { url: "shop.example.com" }, problem: /neither a path/ },
    { sentence: "with an empty URL", request: { url: "" }, problem: /neither a path/ },
    { sentence: "with another scheme", request: { url: "ftp://shop.example.com/" }, problem: /neither a path/ },
    { sentence: "with a blank in its path", request: { url: "/a b" }, problem: /neither a path/ },
    { sentence: "with a line break in its path", request: { url: "/a\r\nx: y" }, problem: /neither a path/ },
    { sentence: "with an empty method", request: { url: "/", method: "" }, problem: /not an HTTP method/ },
    { sentence: "with a blank in its method", request: { url: "/", method: "GET /" }, problem: /not an HTTP method/ },
    { sentence: "with two hosts", request: { url: "/", headers: { host: ["a", "b"] } }, problem: /more than one Host/ },
    { sentence: "with an invalid host", request: { url: "/", headers: { host: "a b" } }, problem: /not a host/ },
    { sentence: "with user information", request: { url: "http://me@shop/" }, problem: /"me@shop" is not a host/ },
    { sentence: "with an invalid header name", request: { url: "/", headers: { "x y": "" } }, problem: /"x y"/ },
    {
      sentence: "with a line break in a header",
      request: { url: "/", headers: { "x-a": "1\r\nx-b: 2" } },
      problem: /header x-a contains a control character/,
    },
  ])("$sentence", ({ request, problem }) => {
    expect(PlainHead.read(request)).toEqual({ problem: expect.stringMatching(problem) });
  });
});
