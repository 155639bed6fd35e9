import { spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { startPerch } from "../kit/perch.ts";
import { temporaryFolder } from "../kit/served.ts";
import {
  dashboardQueries,
  labelsIn,
  plainRules,
  plainRulesCommand,
  ruleQueries,
  rules,
  seriesIn,
  variableQueries,
} from "./queries.ts";

const queries = [...ruleQueries(), ...dashboardQueries(), ...variableQueries()];
const page = readFileSync(new URL("../../docs/monitoring.md", import.meta.url), "utf8");

/** What Prometheus adds, and a histogram's bound. */
const addedLabels = ["namespace", "job", "pod", "instance", "le"];
const documentedLabels = new Set(
  Array.from(
    readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8").matchAll(
      /^\| `perch_\w+` \| \w+ \| ([a-z_, ]*) \|/gm,
    ),
    ([, labels = ""]) => labels.split(", "),
  ).flat(),
);

/** Everything that a running Perch says it exports: the names after `# TYPE`, and a histogram's three series. */
async function exportedSeries(): Promise<ReadonlySet<string>> {
  const perch = await startPerch(`
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:1"] } } } }
routes: [{ name: shop, service: shop }]
`);
  try {
    const exposition = await (await perch.admin("/metrics")).text();
    const types = Array.from(exposition.matchAll(/^# TYPE (\w+) (\w+)$/gm));
    return new Set(
      types.flatMap(([, name = "", type]) =>
        type === "histogram" ? ["_bucket", "_sum", "_count"].map((suffix) => name + suffix) : [name],
      ),
    );
  } finally {
    await perch.stop();
  }
}

describe("the series that alerts and dashboard read", () => {
  let exported: ReadonlySet<string>;
  beforeAll(async () => {
    exported = await exportedSeries();
  });

  test.each(queries)("$about: are exported by a running Perch, or recorded by a rule", ({ expr }) => {
    const known = new Set([...exported, ...rules().map(({ record }) => record ?? "")]);
    const read = seriesIn(expr);
    expect(read.length).toBeGreaterThan(0);
    expect(read.filter((name) => !known.has(name))).toEqual([]);
  });

  test.each(queries)("$about: are told apart by labels that docs/metrics.md names", ({ expr }) => {
    const unknown = labelsIn(expr).filter((label) => !addedLabels.includes(label) && !documentedLabels.has(label));
    expect(unknown).toEqual([]);
  });

  test("are told from labels, functions and texts", () => {
    const expr = `sum by (perch_a) (rate(perch_b_total{perch_c="perch_d{", x!~"y"}[5m])) > on (z) group_left () a:perch_e:sum`;
    expect(seriesIn(expr)).toEqual(["perch_b_total", "a:perch_e:sum"]);
    expect(labelsIn(expr)).toEqual(["perch_a", "z", "perch_c", "x"]);
  });
});

test.each(ruleQueries().filter(({ about }) => about.startsWith("Perch")))(
  "docs/monitoring.md says what to do about $about",
  ({ about }) => {
    expect(page).toContain(`\`${about}\``);
  },
);

test("the alerts that docs/monitoring.md names exist", () => {
  const alerts = rules().map(({ alert }) => alert);
  const named = Array.from(page.matchAll(/^\| `(Perch\w+)`/gm), ([, name]) => name);
  expect(named.filter((name) => !alerts.includes(name))).toEqual([]);
});

test("plain Prometheus gets the same rules by the command of docs/monitoring.md", () => {
  const [command, script] = plainRulesCommand;
  expect(page).toContain(`${command} '${script}' deploy/components/monitoring/prometheus-rule.yaml`);
  const { spec } = parse(
    readFileSync(new URL("../../deploy/components/monitoring/prometheus-rule.yaml", import.meta.url), "utf8"),
  );
  expect(parse(plainRules())).toEqual(spec);
});

const promtoolFound = spawnSync("promtool", ["--version"]).error === undefined;
const needs = promtoolFound ? "" : " (skipped where promtool is not installed)";

describe.skipIf(!promtoolFound)(`promtool${needs}`, () => {
  function promtool(...args: readonly string[]) {
    const { status, stdout, stderr } = spawnSync("promtool", args, { encoding: "utf8" });
    return { status, said: stdout + stderr };
  }

  test("finds nothing to object to in the rules", async () => {
    const file = join(await temporaryFolder(), "rules.yaml");
    writeFileSync(file, plainRules());
    expect(promtool("check", "rules", file)).toEqual({
      status: 0,
      said: expect.stringContaining(`SUCCESS: ${rules().length} rules found`),
    });
  });

  test("sees each alert fire when it should, and only then", async () => {
    const folder = await temporaryFolder();
    writeFileSync(join(folder, "rules.yaml"), plainRules());
    copyFileSync(fileURLToPath(new URL("alerts.yaml", import.meta.url)), join(folder, "alerts.yaml"));
    const { status, said } = promtool("test", "rules", join(folder, "alerts.yaml"));
    expect({ status, said }).toMatchObject({ status: 0 });
  });

  test("reads every query of the dashboard", async () => {
    const file = join(await temporaryFolder(), "queries.yaml");
    const asRules = dashboardQueries().map(({ expr }, index) => ({ record: `query_${index}`, expr }));
    writeFileSync(file, stringify({ groups: [{ name: "dashboard", rules: asRules }] }));
    expect(promtool("check", "rules", file)).toMatchObject({ status: 0 });
  });
});

test("every alert is tried by promtool's unit tests", () => {
  const { tests } = parse(readFileSync(new URL("alerts.yaml", import.meta.url), "utf8")) as {
    tests: { alert_rule_test: { alertname: string; exp_alerts?: unknown[] }[] }[];
  };
  const fired = new Set(
    tests.flatMap(({ alert_rule_test }) =>
      alert_rule_test.filter(({ exp_alerts }) => exp_alerts !== undefined).map(({ alertname }) => alertname),
    ),
  );
  expect(rules().flatMap(({ alert }) => (alert === undefined || fired.has(alert) ? [] : [alert]))).toEqual([]);
});
