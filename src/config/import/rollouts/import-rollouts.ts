import type { Draft } from "../draft.ts";
import { importVirtualServices } from "../istio/istio.ts";
import { type Manifest, parseManifests, titleOf } from "../manifests.ts";
import { argoPlans } from "./argo-rollout.ts";
import { flaggerPlans } from "./flagger-canary.ts";
import { placePlan } from "./place-plan.ts";
import type { ImportedPlan } from "./plan.ts";
import { isRouted } from "./routed-services.ts";

/**
 * The Rollouts of Argo and Canaries of Flagger in the input: each becomes the rollout plan of a release. They are read
 * before the routes and placed after them, since a plan belongs to the release of the routes to its Services.
 */
export class ImportedRollouts {
  /** Objects that the originals create, where the input lacks them: routes, and what its routes refer to. */
  readonly ownRoutes: readonly Manifest[];
  readonly #plans: readonly { readonly plan: ImportedPlan; readonly own: readonly Manifest[] }[];
  readonly #services: readonly Manifest[];
  readonly #draft: Draft;

  constructor(manifests: readonly Manifest[], draft: Draft) {
    this.#draft = draft;
    this.#services = manifests.filter(({ kind, group }) => kind === "Service" && group === "");
    this.#plans = [...argoPlans(manifests, draft), ...flaggerPlans(manifests, draft)].map((plan) => {
      const own = isRouted(plan, manifests) ? [] : parsed(plan.ownRoutes);
      if (own.length > 0) noteOwnRoutes(plan, own, draft);
      return { plan, own };
    });
    const targets = this.#plans.flatMap(({ plan }) => parsed(plan.ownTargets));
    const isWanted = (one: Manifest) => isReferred(one, manifests) && !manifests.some((other) => isSame(one, other));
    this.ownRoutes = [...this.#plans.flatMap(({ own }) => own), ...targets.filter(isWanted)];
  }

  /** To be called once all routes are in the draft. */
  place(): void {
    const draft = this.#draft;
    for (const { plan, own } of this.#plans) {
      const isPlaced = placePlan(own.length === 0 ? plan : { ...plan, routers: routersOf(own) }, draft);
      if (isPlaced || this.#placeAtService(plan, own)) continue;
      draft.leftOut(titleOf(plan.manifest), "no route leads to its Services, so its plan is left out", "protection");
    }
  }

  /** Where the objects with its routes could not be imported, the plan is for those who name its Service. */
  #placeAtService(plan: ImportedPlan, tried: readonly Manifest[]): boolean {
    const own =
      tried.length > 0 ? [] : parsed(plan.ownRoutes).filter(({ spec }) => spec.has("http") && !spec.has("gateways"));
    if (own.length === 0) return false;
    noteOwnRoutes(plan, own, this.#draft);
    importVirtualServices([...this.#services, ...own], this.#draft);
    return placePlan({ ...plan, routers: routersOf(own) }, this.#draft);
  }
}

function parsed(items: readonly object[]): readonly Manifest[] {
  const own = parseManifests(JSON.stringify({ kind: "List", items }), "");
  return own.ok ? own.manifests : [];
}

const isSame = (a: Manifest, b: Manifest): boolean => a.group === b.group && titleOf(a) === titleOf(b);

/** Whether an IngressRoute of the input has this TraefikService. */
function isReferred(target: Manifest, manifests: readonly Manifest[]): boolean {
  const routes = manifests.filter(({ kind }) => kind === "IngressRoute");
  return routes.some(({ spec, namespace }) =>
    spec
      .objects("routes")
      .flatMap((route) => route.objects("services"))
      .some(
        (one) =>
          one.peek("kind") === target.kind &&
          one.peek("name") === target.name &&
          (one.peek("namespace") ?? namespace) === target.namespace,
      ),
  );
}

const routersOf = (own: readonly Manifest[]) => own.map((manifest) => ({ title: titleOf(manifest), routes: [] }));

function noteOwnRoutes({ manifest, routers }: ImportedPlan, own: readonly Manifest[], draft: Draft): void {
  const missing = routers.map(({ title }) => title).join(", ");
  const why =
    missing === ""
      ? "no route of the input leads to its Services"
      : `${missing} is not in the input, or has no route that was imported`;
  const hosts = own.flatMap(({ spec }) => [...spec.texts("hosts"), ...spec.texts("hostnames")]).join(", ");
  draft.note(
    titleOf(manifest),
    `${why}: its route is for requests to ${hosts || "any host"}; add the object to the input, or set the route's match.hosts`,
  );
}
