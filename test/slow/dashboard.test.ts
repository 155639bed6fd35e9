import { setTimeout } from "node:timers/promises";
import { expect, test } from "vitest";
import { dashboardQueries, plainRules, ruleQueries, variableQueries } from "../deploy/queries.ts";
import { freeAfterTest, upstream } from "../kit/freed.ts";
import { Prometheus, prometheusIsMissing } from "../kit/prometheus.ts";
import { changeablePerch } from "../kit/served.ts";
import { shopTls, tlsListener } from "../kit/tls-perch.ts";
import { refusedOrigin } from "../kit/upstream.ts";

const skipped = prometheusIsMissing ? " (skipped: prometheus is not installed)" : "";

const patient = { timeout: 60_000, interval: 500 };

test.skipIf(prometheusIsMissing)(
  `a real Prometheus scrapes Perch, fills every panel of the dashboard and warns of a bad canary${skipped}`,
  async () => {
    const stable = await upstream("stable");
    let answered = 0;
    const canary = await upstream("canary", (_request, response) => {
      answered++;
      response.writeHead(answered % 3 === 0 ? 500 : 200).end();
    });
    let isBroken = false;
    const books = await upstream("books", (_request, response) => {
      response.writeHead(isBroken ? 500 : 200).end();
    });
    const orders = await upstream("orders", (_request, response) => {
      const result = [{ metric: {}, value: [0, "0.95"] }];
      response.end(JSON.stringify({ status: "success", data: { resultType: "vector", result } }));
    });
    const text = `listeners: [{ name: web, address: "127.0.0.1:0" }, ${tlsListener(shopTls).replace("name: web", "name: tls")}]
admin: { address: "127.0.0.1:0" }
attributes: { region: { type: string, from: [{ header: x-user-region }] } }
services:
  shop:
    versions: { stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${canary.origin}"] } }
  news:
    versions: { stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${await refusedOrigin()}"] } }
  books:
    versions: { stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${books.origin}"] } }
releases:
  books:
    rollout:
      id: "2"
      candidate: canary
      steps: [{ weight: 50, hold: 1h }]
      checks:
        - { name: errors, metric: errors }
        - { name: orders, prometheus: { url: "${orders.origin}", query: orders, atLeast: 0.9 }, every: 1s }
  shop:
    rules: [{ name: east, when: { region: cn-east }, use: canary }]
    split: { stable: 50, canary: 50 }
    mirror: { version: canary, percent: 100 }
  news: { split: { canary: 1 } }
routes:
  - { name: books, match: { path: { prefix: /books } }, service: books, release: books }
  - { name: news, match: { path: { prefix: /news } }, service: news, release: news }
  - { name: shop, service: shop, release: shop }
`;
    const { perch: running, change } = await changeablePerch(text);
    const prometheus = await Prometheus.start(
      new URL(running.adminOrigin).host,
      plainRules().replaceAll(/interval: \w+/g, "interval: 1s"),
    );

    let sent = 0;
    let over = false;
    const visit = async () => {
      const path = ({ 0: "/news", 5: "/books" } as Record<number, string>)[sent % 10] ?? "/";
      const headers: Record<string, string> = sent % 4 === 0 ? { "x-user-region": "cn-east" } : {};
      await (await fetch(running.origin + path, { headers })).arrayBuffer();
      sent++;
    };
    // Rates need a second scrape, so the requests go on during the queries.
    const visits = (async () => {
      while (!over) {
        await visit();
        // The pace of the load; nothing waits for it.
        await setTimeout(5);
      }
    })();
    freeAfterTest(async () => {
      over = true;
      await visits;
    });

    await expect.poll(() => prometheus.targets(), patient).toMatchObject([{ health: "up", lastError: "" }]);
    // Once the counter has been scraped at 0: that it rises is to be seen.
    isBroken = true;
    await change(`${text}# the same, and yet another file\n`);
    const emptyQueries = async () => {
      const all = await Promise.all(
        [...dashboardQueries(), ...variableQueries()].map(async ({ about, expr }) => {
          const series = await prometheus.query(expr);
          return series.some(({ value }) => value[1] !== "NaN") ? [] : [`${about}: ${expr}`];
        }),
      );
      return all.flat();
    };
    await expect.poll(emptyQueries, patient).toEqual([]);

    // Alerts that a few seconds can cause are pending; of the others the expressions are evaluated.
    const alerts = async () =>
      (await prometheus.alerts()).map(
        ({ labels: { alertname, service, version, release } }) => `${alertname} ${service ?? release} ${version}`,
      );
    await expect
      .poll(alerts, patient)
      .toEqual(
        expect.arrayContaining([
          "PerchVersionFailsMore shop canary",
          "PerchFallbacks news canary",
          "PerchNoHealthyEndpoint news canary",
          "PerchRolledBack books undefined",
        ]),
      );
    expect((await alerts()).filter((alert) => /PerchReloadFailed|PerchAbsent|shop stable/.test(alert))).toEqual([]);
    for (const { expr } of ruleQueries()) await prometheus.query(expr);

    over = true;
    await visits;
    await expect.poll(() => prometheus.number("sum(perch_requests_total)"), patient).toBe(sent);
    expect(await prometheus.number('max(perch_release_weight_ratio{release="shop",version="canary"})')).toBe(0.5);
    // A third of its responses are errors. The rates of so short a time depend on when each series was first scraped.
    const ratio = await prometheus.number('service_version:perch_error_ratio:rate5m{service="shop",version="canary"}');
    expect(ratio).toBeGreaterThan(0.15);
    expect(ratio).toBeLessThan(0.55);
  },
);
