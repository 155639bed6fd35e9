import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

const monitoring = new URL("../../deploy/components/monitoring/", import.meta.url);
const ruleFile = fileURLToPath(new URL("prometheus-rule.yaml", monitoring));

/** The rules as Prometheus itself wants them, by the command that docs/monitoring.md gives. */
export const plainRulesCommand = ["sed", "1,/^spec:/d; s/^  //", ruleFile] as const;

export function plainRules(): string {
  const [command, ...args] = plainRulesCommand;
  return spawnSync(command, args, { encoding: "utf8" }).stdout;
}

interface Query {
  /** What it stands for: an alert, a recorded series, a panel or a variable. */
  readonly about: string;
  readonly expr: string;
}

interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
}

export function rules(): readonly Rule[] {
  const { spec } = parse(readFileSync(ruleFile, "utf8")) as { spec: { groups: { rules: Rule[] }[] } };
  return spec.groups.flatMap((group) => group.rules);
}

export function ruleQueries(): readonly Query[] {
  return rules().map(({ alert, record, expr }) => ({ about: alert ?? record ?? "", expr }));
}

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr: string }[] };
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly query: string | { readonly query: string } }[];
  };
}

const dashboard = JSON.parse(readFileSync(new URL("perch-dashboard.json", monitoring), "utf8")) as Dashboard;

/** What the dashboard asks, with its variables filled in as Grafana does it for "All". */
export function dashboardQueries(): readonly Query[] {
  const panels = dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ about: title, expr })),
  );
  const annotations = dashboard.annotations.list.map(({ name, expr }) => ({ about: name, expr }));
  return [...panels, ...annotations].map(({ about, expr }) => ({
    about,
    expr: expr.replaceAll("$__rate_interval", "1m").replaceAll(/\$(namespace|release|rollout|service)\b/g, ".*"),
  }));
}

/** The series that fill the variables' lists: `label_values(series, label)`. */
export function variableQueries(): readonly (Query & { readonly label: string })[] {
  return dashboard.templating.list.flatMap(({ name, query }) => {
    if (typeof query === "string") return [];
    const [, expr = "", label = ""] = /^label_values\((.*), (\w+)\)$/.exec(query.query) ?? [];
    return [{ about: name, expr: expr.replaceAll("$namespace", ".*"), label }];
  });
}

/** Names of the series that an expression reads, without those of labels and functions. */
export function seriesIn(expr: string): readonly string[] {
  const withoutLabels = expr
    .replaceAll(/"[^"]*"/g, '""')
    .replaceAll(/\{[^}]*\}/g, "")
    .replaceAll(/\b(by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)/g, "");
  const names = withoutLabels.match(/[a-z_][a-z0-9_:]*(?!\w*\s*\()/g) ?? [];
  return [...new Set(names.filter((name) => /^(perch|process|nodejs)_|:/.test(name)))];
}

/** Label names that an expression selects or groups by. */
export function labelsIn(expr: string): readonly string[] {
  const grouped = Array.from(expr.matchAll(/\b(?:by|on|ignoring|without)\s*\(([^)]*)\)/g), ([, list = ""]) => list);
  const selected = Array.from(expr.matchAll(/\{([^}]*)\}/g), ([, matchers = ""]) =>
    Array.from(matchers.matchAll(/(\w+)\s*(?:=|!=|=~|!~)\s*"/g), ([, label]) => label).join(","),
  );
  const names = [...grouped, ...selected].flatMap((list) => list.split(",")).map((name) => name.trim());
  return [...new Set(names.filter((name) => name !== ""))];
}
