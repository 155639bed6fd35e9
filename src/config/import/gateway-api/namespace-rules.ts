import type { Manifest } from "../manifests.ts";
import { SourceObject } from "../source-object.ts";

/** `unknown`: it depends on labels of a Namespace that is not part of the input. */
export type Answer = "yes" | "no" | "unknown";

/** The label that each Namespace has, with its name. */
const nameLabel = "kubernetes.io/metadata.name";

/** Evaluates `allowedRoutes.namespaces` and `allowedListeners.namespaces`. */
export class NamespaceRules {
  readonly #labels: ReadonlyMap<string, SourceObject>;

  constructor(manifests: readonly Manifest[]) {
    const namespaces = manifests.filter(({ kind, group }) => kind === "Namespace" && group === "");
    this.#labels = new Map(namespaces.map(({ name, labels }) => [name, labels]));
  }

  /** `own`: the namespace of the object with the rule; `other`: the one that asks. */
  allow(rule: SourceObject, byDefault: "Same" | "None", own: string, other: string): Answer {
    const from = rule.text("from") || byDefault;
    if (from === "All") return "yes";
    if (from === "Same") return own === other ? "yes" : "no";
    // An empty selector selects all namespaces, a missing one none.
    return from === "Selector" && rule.has("selector") ? this.#selects(rule.object("selector"), other) : "no";
  }

  #selects(selector: SourceObject, namespace: string): Answer {
    const labels = selector.object("matchLabels");
    const answers = [
      ...labels.keys().map((key) => this.#test(namespace, key, "In", [labels.text(key)])),
      ...selector
        .objects("matchExpressions")
        .map((one) => this.#test(namespace, one.text("key"), one.text("operator"), one.texts("values"))),
    ];
    if (answers.includes("no")) return "no";
    return answers.includes("unknown") ? "unknown" : "yes";
  }

  #test(namespace: string, key: string, operator: string, values: readonly string[]): Answer {
    const labels = this.#labels.get(namespace) ?? (key === nameLabel ? new SourceObject({}) : undefined);
    if (labels === undefined) return "unknown";
    const value = key === nameLabel ? namespace : labels.has(key) ? labels.text(key) : undefined;
    const isIn = value !== undefined && values.includes(value);
    if (operator === "In") return isIn ? "yes" : "no";
    if (operator === "NotIn") return isIn ? "no" : "yes";
    if (operator === "Exists") return value === undefined ? "no" : "yes";
    return operator === "DoesNotExist" && value === undefined ? "yes" : "no";
  }
}
