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
  const classNameOf = (ingress: Manifest) => classOf(ingress) || (standard?.name ?? "");
  const ofNginx = ingresses.filter((ingress) => {
    const named = classOf(ingress);
    const name = classNameOf(ingress);
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
    draft.leftOut(where, `left out: it is for ${other}, and not for ingress-nginx${listed}`, "protection");
    return false;
  });
  return ofOneController(ofNginx, classNameOf, controllers, draft);
}

/**
 * Each controller has an address of its own, and one of them may be internal: only the Ingresses of the first one are
 * imported. Classes whose controllers are not known are imported, with a note.
 */
function ofOneController(
  ingresses: readonly Manifest[],
  classNameOf: (ingress: Manifest) => string,
  controllers: ReadonlyMap<string, string>,
  draft: Draft,
): readonly Manifest[] {
  // The class nginx is that of the usual controller.
  const controllerOf = (name: string) =>
    controllers.get(name) || (name === "nginx" ? "k8s.io/ingress-nginx" : undefined);
  const first = ingresses.map((ingress) => controllerOf(classNameOf(ingress))).find((one) => one !== undefined);
  const kept = ingresses.filter((ingress) => {
    const controller = controllerOf(classNameOf(ingress));
    if (controller === undefined || controller === first) return true;
    const why = `it is for the controller ${controller}, other Ingresses are for ${String(first)}`;
    const advice =
      "each has an address of its own, and one may be internal: import the Ingresses of each by themselves";
    draft.leftOut(titleOf(ingress), `left out: ${why}; ${advice}`, "protection");
    return false;
  });
  const names = [...new Set(kept.map(classNameOf))].filter((name) => name !== "");
  if (names.length < 2 || names.every((name) => controllerOf(name) !== undefined)) return kept;
  const what = `the Ingress classes ${names.join(", ")} may be of several controllers with addresses of their own`;
  const advice = "one may be internal: if so, import the Ingresses of each by themselves, or add the IngressClasses";
  draft.noteLostProtection("the input", `${what}, of which ${advice}`);
  return kept;
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
