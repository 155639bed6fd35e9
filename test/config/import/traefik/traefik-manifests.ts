interface Written {
  readonly group?: string;
  readonly spec?: string;
  readonly name?: string;
}

/** An IngressRoute of the namespace shop. */
export const ingressRoute = (
  routes: readonly string[],
  { group = "traefik.io", spec = "", name = "shop" }: Written = {},
): string => `
---
apiVersion: ${group}/v1alpha1
kind: IngressRoute
metadata: { name: ${name}, namespace: shop }
spec:
  ${spec}
  routes:
${routes.map((route) => `    - ${route}`).join("\n")}
`;

/** Another object of Traefik. */
export const object = (kind: string, name: string, spec: string): string => `
---
apiVersion: traefik.io/v1alpha1
kind: ${kind}
metadata: { name: ${name}, namespace: shop }
spec: ${spec}
`;

/** One of its routes. */
export const rule = (match: string, rest: string) => `{ kind: Rule, match: "${match}", ${rest} }`;
/** Services with port 80. */
export const to = (...names: readonly string[]) =>
  `services: [${names.map((name) => `{ name: ${name}, port: 80 }`).join(", ")}]`;
/** A middleware, and a service. */
export const through = (name: string, rest = to("shop")) => `middlewares: [{ name: ${name} }], ${rest}`;
/** A route through one middleware. */
export const withMiddleware = (spec: string, match = "PathPrefix(`/api`)") =>
  ingressRoute([rule(match, through("it"))]) + object("Middleware", "it", spec);
