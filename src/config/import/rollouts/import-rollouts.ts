import type { Draft } from "../draft.ts";
import { importGatewayApi } from "../gateway-api/gateway-api.ts";
import { importVirtualServices } from "../istio/istio.ts";
import { type Manifest, parseManifests, titleOf } from "../manifests.ts";
import { argoPlans } from "./argo-rollout.ts";
import { flaggerPlans } from "./flagger-canary.ts";
import { placePlan } from "./place-plan.ts";
import type { ImportedPlan } from "./plan.ts";

/**
 * Imports Rollouts of Argo and Canaries of Flagger: each becomes the rollout plan of a release. To be called after all
 * other importers, since the plan belongs to the release of the routes that they found. Without any, the routes that
 * the original would have created are imported.
 */
export function importRollouts(manifests: readonly Manifest[], draft: Draft): void {
  for (const plan of [...argoPlans(manifests, draft), ...flaggerPlans(manifests, draft)]) {
    if (placePlan(plan, draft)) continue;
    const routers = importOwnRoutes(plan, manifests, draft).map((title) => ({ title, routes: [] }));
    if (placePlan({ ...plan, routers }, draft)) continue;
    draft.leftOut(titleOf(plan.manifest), "no route leads to its Services, so its plan is left out", true);
  }
}

const routeKinds: ReadonlySet<string> = new Set(["HTTPRoute", "VirtualService", "Ingress"]);

/** Returns the titles of the objects that stand for the missing ones. */
function importOwnRoutes(plan: ImportedPlan, manifests: readonly Manifest[], draft: Draft): readonly string[] {
  const where = titleOf(plan.manifest);
  const missing = plan.routers.map(({ title }) => title).join(", ");
  const own = parseManifests(JSON.stringify({ items: plan.ownRoutes }), "");
  if (!own.ok) return [];
  const made = own.manifests.filter(({ kind }) => routeKinds.has(kind)).map(titleOf);
  const why = missing === "" ? "no route of the input leads to its Services" : `the input has no route of ${missing}`;
  const hosts = "for the hosts that it names, or for the names of its Service";
  draft.note(where, `${why}: its routes are ${hosts}, as those of a ${made.join(", ")} would be`);
  const others = manifests.filter(({ kind }) => !routeKinds.has(kind));
  importVirtualServices([...others, ...own.manifests], draft);
  importGatewayApi([...others, ...own.manifests], draft);
  return own.manifests.map(titleOf);
}
