import type { SharedStateSpec } from "../compiled-config.ts";
import { localPath } from "../scalars.ts";
import { object, optional, required } from "../schema-kit/object.ts";
import { text } from "../schema-kit/scalars.ts";
import type { Infer, ParseContext } from "../schema-kit/schema.ts";

/** RFC 1123, as Kubernetes has it for most objects. */
const objectName = text({
  what: "an object's name",
  pattern: /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/,
  rule: "use a-z, 0-9, dashes and dots, as Kubernetes does",
});

/** Where rollouts and pauses outlive the process. */
export const stateSchema = object(
  {
    file: optional("The file. Its folder is created if need be.", localPath),
    kubernetes: optional(
      "Shared by all replicas, in the cluster: one of them leads, and judges what all of them see. Needs admin.tokenFile.",
      object(
        {
          configMap: required("The name of the ConfigMap that holds the state.", objectName),
          lease: required("The name of the Lease that says which replica leads.", objectName),
          namespace: optional("Of both. Default: the Pod's own.", objectName),
        },
        { what: "kubernetes" },
      ),
    ),
  },
  { what: "state", exactlyOneOf: ["file", "kubernetes"] },
);

/** Where several replicas keep one state. */
export function compileSharedState(
  state: Infer<typeof stateSchema> | undefined,
  hasToken: boolean,
  parsing: ParseContext,
): SharedStateSpec | undefined {
  const shared = state?.kubernetes;
  if (state === undefined || shared === undefined) return undefined;
  if (!hasToken) {
    const message = "replicas reach one another by the admin server with a token, and there is no admin.tokenFile";
    parsing.error(parsing.spanOf(state, "kubernetes"), "missing-key", message, "set admin: { tokenFile: … }");
  }
  const { configMap, lease, namespace } = shared;
  return { configMap, lease, namespace };
}
