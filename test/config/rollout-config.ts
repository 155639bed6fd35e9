import { compiled, validConfig } from "./valid-config.ts";

/** A configuration with a rollout, without problems. The rollout begins at line 33. */
export const base = `${validConfig.replace(
  "split: { stable: 95, canary: 5 }\n",
  `split: { stable: 100, canary: 0 }
    rollout:
      id: "2.4.0"
      candidate: canary
      steps:
        - { weight: 1, hold: 5m }
        - { when: { userId: ada }, weight: 50, hold: 10m, atLeast: { users: 500 } }
        - { weight: 10, hold: 10m }
        - pause
      checks:
        - { name: errors, metric: errors }
        - { name: slow, metric: slow, over: 800ms }
        - { name: ceiling, metric: errors, atMost: 5% }
        - { name: no-worse, metric: slow, over: p95, margin: 0.5% }
        - { name: orders, prometheus: { url: "http://prometheus:9090", query: up, atLeast: 0.9 }, every: 2m, failures: 5 }
        - { name: smoke, webhook: { url: "http://ci/smoke?a=1" }, beforeStep: 1 }
      caps: { users: 1000, failures: 50, requestsPerSecond: 200 }
      notify: [{ url: "https://chat.example.com/hook", secretFile: pins.secret }]
`,
)}state: { file: data/state.json }
`;

/** The configuration with some replacements. Throws if one of them is not in it. */
export function edited(...edits: readonly (readonly [find: string, replacement: string])[]): string {
  return edits.reduce((text, [find, replacement]) => {
    if (!text.includes(find)) throw new Error(`the configuration has no ${JSON.stringify(find)}`);
    return text.replace(find, () => replacement);
  }, base);
}

export const rolloutOf = (text: string) => {
  const [release] = compiled(text).releases;
  if (release?.rollout === undefined) throw new Error("no rollout");
  return release.rollout;
};

export const steps = base.slice(base.indexOf("      steps:\n"), base.indexOf("      checks:\n"));
export const checks = base.slice(base.indexOf("      checks:\n"), base.indexOf("      caps:"));

/** Replaces the steps, and all checks by the default one. */
export const planned = (...written: readonly string[]): string =>
  edited([steps, `      steps:\n${written.map((step) => `        - ${step}\n`).join("")}`], [checks, ""]);

export const checked = (check: string): string => edited([checks, `      checks:\n        - ${check}\n`]);

/** A second service behind the same release. */
export const withPages = (pages: string, ...edits: readonly (readonly [string, string])[]): string =>
  edited(
    ["releases:\n", `  pages: ${pages}\nreleases:\n`],
    ["routes:\n", "routes:\n  - { name: pages, match: { path: { prefix: /p } }, service: pages, release: shop }\n"],
    ...edits,
  );
