import { PodMonitor, PrometheusRule } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";
import { DaemonSet, Deployment, StatefulSet } from "kubernetes-models/apps/v1";
import { HorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2";
import { CronJob, Job } from "kubernetes-models/batch/v1";
import { Lease } from "kubernetes-models/coordination.k8s.io/v1";
import { NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1";
import { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "kubernetes-models/rbac.authorization.k8s.io/v1";
import { ConfigMap, Service, ServiceAccount } from "kubernetes-models/v1";

/** A copy of a manifest that can check itself by the Kubernetes schema of its kind. */
type Model = new (manifest: never) => object & { validate(): void };

const models: Readonly<Record<string, Model>> = {
  "apps/v1 DaemonSet": DaemonSet,
  "apps/v1 Deployment": Deployment,
  "apps/v1 StatefulSet": StatefulSet,
  "autoscaling/v2 HorizontalPodAutoscaler": HorizontalPodAutoscaler,
  "batch/v1 CronJob": CronJob,
  "batch/v1 Job": Job,
  "monitoring.coreos.com/v1 PodMonitor": PodMonitor,
  "monitoring.coreos.com/v1 PrometheusRule": PrometheusRule,
  "networking.k8s.io/v1 NetworkPolicy": NetworkPolicy,
  "policy/v1 PodDisruptionBudget": PodDisruptionBudget,
  "v1 ConfigMap": ConfigMap,
  "v1 Service": Service,
  "v1 ServiceAccount": ServiceAccount,
  "rbac.authorization.k8s.io/v1 ClusterRole": ClusterRole,
  "rbac.authorization.k8s.io/v1 ClusterRoleBinding": ClusterRoleBinding,
  "rbac.authorization.k8s.io/v1 Role": Role,
  "coordination.k8s.io/v1 Lease": Lease,
  "rbac.authorization.k8s.io/v1 RoleBinding": RoleBinding,
};

interface Typed {
  readonly apiVersion: string;
  readonly kind: string;
}

/** Everything that a strict API server would refuse: wrong types, missing keys, and keys that it does not know. */
export function schemaProblems(manifest: object): readonly string[] {
  const { apiVersion, kind } = manifest as Typed;
  const Model = models[`${apiVersion} ${kind}`];
  if (Model === undefined) return [`no schema for ${apiVersion} ${kind}`];
  const model = new Model(manifest as never);
  const read = new Set<string>();
  const problems: string[] = [];
  try {
    watched(model, "", read).validate();
  } catch (error) {
    problems.push(String(error));
  }
  return [...problems, ...unreadKeys(model, "", read).map((path) => `unknown key ${path}`)];
}

/**
 * The package brings compiled validators, which pass over keys that they do not know. But they look at each key that
 * they do know, so a key that was never looked at is one that Kubernetes has never heard of.
 */
function watched<T extends object>(value: T, path: string, read: Set<string>): T {
  return new Proxy(value, {
    get(target, key, receiver) {
      if (typeof key === "string") read.add(`${path}/${key}`);
      const inner: unknown = Reflect.get(target, key, receiver);
      return typeof inner === "object" && inner !== null ? watched(inner, `${path}/${String(key)}`, read) : inner;
    },
    ownKeys(target) {
      // A map such as labels: whoever lists its keys takes any.
      for (const key of Object.keys(target)) read.add(`${path}/${key}`);
      return Reflect.ownKeys(target);
    },
  });
}

function unreadKeys(value: object, path: string, read: ReadonlySet<string>): readonly string[] {
  return Object.entries(value).flatMap(([key, inner]) => {
    const at = `${path}/${key}`;
    if (!read.has(at)) return [at];
    return typeof inner === "object" && inner !== null ? unreadKeys(inner, at, read) : [];
  });
}
