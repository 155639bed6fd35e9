import { documents, importedPlan, service } from "./plans.ts";

/** A Rollout of the namespace shop with this strategy. */
export function rollout(strategy: string, name = "shop"): string {
  return `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: { name: ${name}, namespace: shop }
spec:
  replicas: 3
  selector: { matchLabels: { app: shop } }
  template: { metadata: { labels: { app: shop } }, spec: { containers: [{ name: shop, image: "shop:1" }] } }
  strategy: ${strategy}
`;
}

/** A Rollout with these steps. */
export const canary = (steps: string, others = "") =>
  rollout(`{ canary: { stableService: shop-stable, canaryService: shop-canary, steps: [${steps}]${others} } }`);

/** Without what every plan has. */
export const stepsOf = (steps: string, others = "") =>
  importedPlan(documents(canary(steps, others), service("shop-stable"), service("shop-canary"))).rollout["steps"];
