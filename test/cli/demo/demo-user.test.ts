import { describe, expect, test } from "vitest";
import { CookieJar, DemoUser } from "../../../src/cli/demo/demo-user.ts";

describe("a user of the demo", () => {
  test("sends the region in API calls, and only cookies with page loads", () => {
    const user = new DemoUser(0, "run");
    const call = user.nextRequest();
    expect(call).toMatchObject({ path: "/api/cart", headers: { "x-user-region": "cn-east" } });
    call.jar.keep(["perch-shop=abc; Path=/; HttpOnly"]);
    const { path, headers } = user.nextRequest();
    expect({ path, headers }).toEqual({ path: "/", headers: { cookie: "perch-shop=abc" } });
    expect(user.requests).toBe(2);
  });

  test("who is signed in sends the id from two devices, each with its own cookies", () => {
    const user = new DemoUser(3, "run");
    const [first, second] = [user.nextRequest(), user.nextRequest()];
    first.jar.keep(["perch-shop=one"]);
    second.jar.keep(["perch-shop=two"]);
    const cookies = [user.nextRequest(), user.nextRequest()].map(({ headers }) => headers);
    expect(cookies).toEqual([
      { "x-user-id": "run-3", cookie: "perch-shop=one" },
      { "x-user-id": "run-3", cookie: "perch-shop=two" },
    ]);
  });

  test("is matched by the rule only if both of its tests hold", () => {
    const ruled = Array.from({ length: 20 }, (_, index) => new DemoUser(index, "run")).map(({ isRuled }) => isRuled);
    expect(ruled.flatMap((isRuled, index) => (isRuled ? [index] : []))).toEqual([0, 10]);
  });
});

describe("a cookie jar", () => {
  test.each([
    { is: "empty at first", lines: [], header: "" },
    { is: "one cookie without its attributes", lines: ["a=1; Path=/; Max-Age=60"], header: "a=1" },
    { is: "the last value of a name", lines: ["a=1", "b=2", "a=3"], header: "a=3; b=2" },
    { is: "a value with an equals sign", lines: ["a=b=c; Path=/"], header: "a=b=c" },
    { is: "nothing of a line without a name", lines: ["=1", "; a=1", ""], header: "" },
  ])("holds $is", ({ lines, header }) => {
    const jar = new CookieJar();
    jar.keep(lines);
    expect(jar.header).toBe(header);
  });
});
