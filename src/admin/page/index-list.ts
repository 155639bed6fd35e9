const endpoints = [
  ["/metrics", "metrics in the Prometheus text format or OpenMetrics"],
  ["/livez", "200 while the process runs"],
  [
    "/readyz",
    "200 while every listener accepts connections; 503 with the reason while starting, draining or without a worker",
  ],
  ["/api/config", "the active configuration, its warnings, and the error of the last reload"],
  ["/api/releases", "configured and observed share of each version, rule hits, pin flips"],
  ["/api/endpoints", "the health of each endpoint, why, and since when"],
  [
    "/api/explain?url=http://localhost/",
    "which version a request gets, and why; parameters: method, header, cookie, client, listener",
  ],
  ["/api/rollouts", "the state of each rollout, and what happens next"],
  ["/api/events", "what happens to rollouts, as a stream of server-sent events"],
  ["/api/live", "all that the dashboard shows, and each second what has changed, as such a stream"],
  ["/api/decisions", "a sample of decisions, as such a stream; parameters: release, version, reason, rule, status"],
  ["/api/access", "what the caller may do"],
  ["/api/openapi.json", "a description of this API"],
] as const;

/** A list of what the server offers, for people with curl. */
export const indexList = `Perch

${endpoints.map(([path, text]) => `${path}\n    ${text}\n`).join("")}`;
