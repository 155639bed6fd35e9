import { delimiter, join } from "node:path";
import { type ApiAccess, isInPod, NoApiAccess, podAccess } from "./api-access.ts";
import { kubeconfigAccess } from "./kubeconfig.ts";

/** The access of `findAccess` by the clock of this process; or why there is none. */
export function openAccess(env: Readonly<Record<string, string | undefined>>): ApiAccess | NoApiAccess {
  try {
    return findAccess(env, () => performance.now());
  } catch (error) {
    if (error instanceof NoApiAccess) return error;
    throw error;
  }
}

/**
 * The access that kubectl would take: of the files that `KUBECONFIG` lists, else of `~/.kube/config`, else of the Pod.
 * Files that do not exist are skipped.
 *
 * @throws NoApiAccess if there is none.
 * @see https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
 */
export function findAccess(
  env: Readonly<Record<string, string | undefined>>,
  monotonicMs: () => number,
  podFolder?: string,
): ApiAccess {
  const listed = env["KUBECONFIG"]?.split(delimiter).filter((file) => file !== "") ?? [];
  const home = env["HOME"];
  const usual = home ? [join(home, ".kube", "config")] : [];
  const access = kubeconfigAccess(listed.length > 0 ? listed : usual, monotonicMs);
  if (access !== undefined) return access;
  if (listed.length > 0 && !isInPod(env)) {
    throw new NoApiAccess(`none of the files that KUBECONFIG lists has a configuration: ${listed.join(delimiter)}`);
  }
  return podAccess(env, monotonicMs, podFolder);
}
