import type { Command } from "./command.ts";

/** A command as the list shows it; the rest is loaded when it is asked for, so that `perch schema` starts no server. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<Command>;
}

export const commands: readonly CommandEntry[] = [
  {
    name: "serve",
    summary: "Run the proxy.",
    load: async () => (await import("./serve.ts")).serve,
  },
  {
    name: "demo",
    summary: "See it work: two versions, Perch in front, and a crowd of users.",
    load: async () => (await import("./demo.ts")).demo,
  },
  {
    name: "validate",
    summary: "Check configurations; every problem is told, with its place.",
    load: async () => (await import("./validate.ts")).validate,
  },
  {
    name: "explain",
    summary: "Say which version a request would get, and why, stage by stage.",
    load: async () => (await import("./explain.ts")).explain,
  },
  {
    name: "plan",
    summary: "Say which share of users a change of configuration moves, and what a reload would do.",
    load: async () => (await import("./plan.ts")).plan,
  },
  {
    name: "schema",
    summary: "Print the JSON Schema of the configuration, for editors.",
    load: async () => (await import("./schema.ts")).schema,
  },
  {
    name: "token",
    summary: "Make a signed, expiring token that lets a tester choose a version.",
    load: async () => (await import("./token.ts")).token,
  },
  {
    name: "import",
    summary: "Make a configuration of what you have: Ingresses with canaries, HTTPRoutes, VirtualServices.",
    load: async () => (await import("./import.ts")).importCommand,
  },
];
