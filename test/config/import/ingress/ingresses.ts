import { createEngine, type EngineRequest } from "../../../../src/index.ts";
import { imported, runnable } from "../asked.ts";

const annotations = (values: Readonly<Record<string, string>>) =>
  JSON.stringify(
    Object.fromEntries(Object.entries(values).map(([name, value]) => [`nginx.ingress.kubernetes.io/${name}`, value])),
  );

interface Path {
  readonly path: string;
  readonly type?: string;
  readonly service: string;
}

/** An Ingress of shop.example.com with these annotations of ingress-nginx. */
export function ingress(
  name: string,
  values: Readonly<Record<string, string>>,
  paths: readonly Path[],
  host = "shop.example.com",
): string {
  const rules = paths.map(
    ({ path, type = "Prefix", service }) =>
      `{ path: ${JSON.stringify(path)}, pathType: ${type}, backend: { service: { name: ${service}, port: { number: 80 } } } }`,
  );
  return `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: ${name}, namespace: shop, annotations: ${annotations(values)} }
spec: { ingressClassName: nginx, rules: [{ host: "${host}", http: { paths: [${rules.join(", ")}] } }] }
`;
}

export const main = ingress("web", {}, [{ path: "/", service: "shop" }]);

/** A main and a canary Ingress with these annotations. */
export function pair(
  values: Readonly<Record<string, string>>,
  mainValues: Readonly<Record<string, string>> = {},
): string {
  return [
    ingress("web", mainValues, [{ path: "/", service: "shop" }]),
    ingress("web-canary", { canary: "true", ...values }, [{ path: "/", service: "shop-next" }]),
  ].join("---");
}

/** The import of one Ingress with one path. */
export const web = (values: Readonly<Record<string, string>>, path = "/", type = "Prefix") =>
  imported(ingress("web", values, [{ path, type, service: "shop" }]));

/**
 * What the imported configuration does with requests: `308 https://…` for a redirect, the status of an error, or
 * `service/version`. The default host is shop.example.com.
 */
export function answers(yaml: string): (request: Partial<EngineRequest> & { readonly host?: string }) => string {
  const { config } = imported(yaml);
  const engine = createEngine(runnable(config), { env: {} });
  return ({ host = "shop.example.com", url = "/", ...request }) => {
    const target = url.startsWith("/") ? `http://${host}${url}` : url;
    const headers = { host: new URL(target).host, ...request.headers };
    const explained = engine.explain({ method: "GET", ...request, url: target, headers });
    const { redirect, error, service, served, trail } = explained;
    if (redirect !== null) return `${redirect.status} ${redirect.location}`;
    if (error !== null) return String(error.status);
    const aborted = trail.map(({ detail }) => /^abort with (\d+): 100 % of/.exec(detail)?.[1]).find(Boolean);
    return aborted ?? `${service}/${served}`;
  };
}
