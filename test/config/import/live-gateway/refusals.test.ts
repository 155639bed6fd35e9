import { expect, test } from "vitest";
import { KnownRefusals, refusalMs } from "../../../../src/config/import/live-gateway/known-refusals.ts";
import { gateway, gatewayClass, route, service, to } from "../../../kit/gateway-api.ts";
import type { DraftObject } from "../../../kit/kubernetes-objects.ts";
import { compiled, routeConditions } from "./compiled.ts";

const base = [gatewayClass(), gateway("web"), service("shop", 80)];
const fine = Array.from({ length: 20 }, (_, at) =>
  route(`fine-${at}`, [{ backendRefs: [to("shop", 80)] }], { hostnames: [`${at}.test`] }),
);
/** The schema has nothing against it, and no request can have this path. */
const bad = route("bad", [{ matches: [{ path: { type: "Exact", value: "/../b" } }], backendRefs: [to("shop", 80)] }]);
const policy: DraftObject = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "policy", namespace: "shop", labels: { "perch.dev/policy": "true" } },
  data: { policy: "target: { name: fine-0 }\nsticky: { by: nobody }\n" },
};

test("a route and a policy that do not load are looked for once, and not again with each change", () => {
  let nowMs = 0;
  const refusals = new KnownRefusals(() => nowMs);
  const compile = () => compiled([...base, ...fine, bad, policy], { refusals });
  const first = compile();
  expect(first.loads).toBeGreaterThan(5);
  const second = compile();
  expect(second.loads).toBe(1);
  for (const result of [first, second]) {
    expect(result.parts.routes).toHaveLength(fine.length);
    expect(routeConditions(result, "bad")).toContain("Accepted=False/UnsupportedValue");
    expect(routeConditions(result, "fine-0")).toContain("perch.dev/Policy=False/Invalid");
  }
  nowMs = refusalMs + 1;
  expect(compile().loads).toBe(first.loads);
});

test("what was refused is tried again where it has changed", () => {
  const refusals = new KnownRefusals(() => 0);
  compiled([...base, bad], { refusals });
  const repaired = route("bad", [
    { matches: [{ path: { type: "Exact", value: "/b" } }], backendRefs: [to("shop", 80)] },
  ]);
  expect(compiled([...base, repaired], { refusals }).parts.routes).toHaveLength(1);
});
