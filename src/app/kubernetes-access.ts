import { performance } from "node:perf_hooks";
import { type ApiAccess, podAccess } from "../kubernetes/api-access.ts";
import { kubeconfigAccess } from "../kubernetes/kubeconfig.ts";

/**
 * How this process reaches the Kubernetes API: by the file that `KUBECONFIG` names, otherwise as a Pod.
 *
 * @throws NoApiAccess if neither is possible.
 */
export function accessFrom(env: Readonly<Record<string, string | undefined>>): ApiAccess {
  const monotonicMs = () => performance.now();
  const kubeconfig = env["KUBECONFIG"];
  return kubeconfig ? kubeconfigAccess(kubeconfig, monotonicMs) : podAccess(env, monotonicMs);
}
