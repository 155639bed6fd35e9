import type { Draft } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";

interface OtherController {
  readonly name: string;
  /** The names of its Ingress classes. */
  readonly classes: RegExp;
  /** The beginnings of its annotations. */
  readonly annotations: RegExp;
}

const others: readonly OtherController[] = [
  { name: "AWS Load Balancer Controller", classes: /^(?:alb|aws)\b/, annotations: /^alb\.ingress\.kubernetes\.io\// },
  { name: "Kong", classes: /\bkong\b/, annotations: /^(?:[a-z0-9-]+\.)*konghq\.com\// },
  { name: "Traefik", classes: /traefik/, annotations: /^(?:ingress\.)?traefik\.|^traefik\.ingress\.kubernetes\.io\// },
  {
    name: "Google Cloud Load Balancing",
    classes: /^gce\b|^gke\b/,
    annotations:
      /^(?:networking\.gke\.io|cloud\.google\.com|ingress\.gcp\.kubernetes\.io)\/|^kubernetes\.io\/ingress\.(?:global|regional)-static-ip-name$|^ingress\.gcp\./,
  },
  {
    name: "HAProxy",
    classes: /haproxy/,
    annotations: /^(?:haproxy\.org|haproxy\.com|haproxy-ingress\.github\.io|ingress\.kubernetes\.io)\//,
  },
  { name: "Contour", classes: /contour/, annotations: /^(?:projectcontour\.io|contour\.heptio\.com)\// },
  {
    name: "Azure Application Gateway",
    classes: /azure.*(?:application-gateway|alb)|appgw/,
    annotations: /^(?:appgw\.ingress\.kubernetes\.io|alb\.networking\.azure\.io)\//,
  },
  { name: "APISIX", classes: /apisix/, annotations: /^k8s\.apisix\.apache\.org\// },
  { name: "Higress", classes: /higress/, annotations: /^higress\.io\// },
  { name: "MSE", classes: /^mse\b/, annotations: /^mse\.ingress\.kubernetes\.io\// },
  { name: "Istio", classes: /^istio\b/, annotations: /^(?:[a-z]+\.)?istio\.io\// },
  { name: "Cilium", classes: /^cilium\b/, annotations: /^ingress\.cilium\.io\// },
  { name: "Ambassador", classes: /ambassador|emissary/, annotations: /^getambassador\.io\// },
  { name: "Skipper", classes: /skipper/, annotations: /^zalando\.org\// },
  { name: "Gloo", classes: /^gloo\b/, annotations: /^gloo\.solo\.io\// },
  { name: "OpenShift", classes: /^openshift-/, annotations: /^(?:route|haproxy\.router)\.openshift\.io\// },
  { name: "Citrix", classes: /citrix|netscaler/, annotations: /^ingress\.citrix\.com\// },
  { name: "F5", classes: /^f5\b/, annotations: /^(?:virtual-server|cis)\.f5\.com\// },
  { name: "Voyager", classes: /voyager/, annotations: /^ingress\.appscode\.com\// },
  { name: "Tailscale", classes: /tailscale/, annotations: /^tailscale\.com\// },
  { name: "Caddy", classes: /caddy/, annotations: /^caddy\.ingress\.kubernetes\.io\// },
  { name: "Pomerium", classes: /pomerium/, annotations: /^ingress\.pomerium\.io\// },
  { name: "ngrok", classes: /ngrok/, annotations: /^k8s\.ngrok\.com\// },
  { name: "BFE", classes: /^bfe\b/, annotations: /^bfe\.ingress\.kubernetes\.io\// },
  // It has the class nginx as well.
  { name: "NGINX Ingress Controller of F5", classes: /^nginx-plus\b/, annotations: /^nginx\.(?:org|com)\// },
];

const nginxAnnotation = /^nginx\.ingress\.kubernetes\.io\//;

/**
 * The Ingresses that ingress-nginx served. Those of other controllers are left out, and noted before everything else:
 * their authentication and weights are in annotations, or in objects, that are not read.
 */
export function nginxIngresses(
  ingresses: readonly Manifest[],
  manifests: readonly Manifest[],
  draft: Draft,
): readonly Manifest[] {
  const classes = manifests.filter(({ kind, group }) => kind === "IngressClass" && group === "networking.k8s.io");
  const controllers = new Map(classes.map((one) => [one.name, one.spec.text("controller")]));
  const standard = classes.find(
    ({ annotations }) => annotations.text("ingressclass.kubernetes.io/is-default-class") === "true",
  );
  return ingresses.filter((ingress) => {
    const named = classOf(ingress);
    const name = named || (standard?.name ?? "");
    const other = otherController(ingress, name, controllers);
    const where = titleOf(ingress);
    if (other === undefined) {
      if (named !== "" && !controllers.has(named) && !named.includes("nginx")) {
        const advice = "if it is not, remove this Ingress from the input, or add the IngressClass";
        draft.note(where, `the class ${named} is taken for one of ingress-nginx: ${advice}`);
      }
      return true;
    }
    const its = ingress.annotations.keys().filter((key) => others.some(({ annotations }) => annotations.test(key)));
    const listed = its.length === 0 ? "" : `; its annotations: ${its.join(", ")}`;
    draft.leftOut(where, `left out: it is for ${other}, and not for ingress-nginx${listed}`, true);
    return false;
  });
}

/** ingress-nginx prefers the older annotation to the field. */
function classOf({ annotations, spec }: Manifest): string {
  return (annotations.text("kubernetes.io/ingress.class") || spec.text("ingressClassName")).trim();
}

/** Whose Ingress it is; undefined if it may be that of ingress-nginx. */
function otherController(
  { annotations }: Manifest,
  name: string,
  controllers: ReadonlyMap<string, string>,
): string | undefined {
  const controller = controllers.get(name) ?? "";
  if (controller !== "") return controller.includes("ingress-nginx") ? undefined : controller;
  const keys = annotations.keys();
  const isNginx = keys.some((key) => nginxAnnotation.test(key));
  const byAnnotations = others.find((other) => keys.some((key) => other.annotations.test(key)));
  if (/(?:^|[-_.])nginx/.test(name)) {
    const sharesTheClass = byAnnotations?.classes.test("nginx-plus") === true && !isNginx;
    return sharesTheClass ? byAnnotations.name : undefined;
  }
  const byClass = name === "" ? undefined : others.find(({ classes }) => classes.test(name));
  if (byClass !== undefined) return `${byClass.name} (class ${name})`;
  return isNginx ? undefined : byAnnotations?.name;
}
