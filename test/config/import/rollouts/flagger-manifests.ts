/** A Canary of the namespace shop; `others` are keys of its spec. */
export function canary(analysis: string, service = "{ port: 80 }", others = "", name = "shop"): string {
  return `
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: { name: ${name}, namespace: shop }
spec:
  targetRef: { apiVersion: apps/v1, kind: Deployment, name: ${name} }
  service: ${service}
  analysis: ${analysis}
  ${others}
`;
}
