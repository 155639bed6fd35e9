import type { Balancer } from "./balancer.ts";
import { LeastInFlight } from "./least-in-flight.ts";
import { PowerOfTwo } from "./power-of-two.ts";
import { Rendezvous } from "./rendezvous.ts";
import { RoundRobin } from "./round-robin.ts";

/** The configuration's words for how a version's endpoints share its requests. */
export const balances = ["p2c", "round-robin", "least-in-flight", "hash"] as const;
export type Balance = (typeof balances)[number];

export function createBalancer(balance: Balance): Balancer {
  switch (balance) {
    case "p2c":
      return new PowerOfTwo();
    case "round-robin":
      return new RoundRobin();
    case "least-in-flight":
      return new LeastInFlight();
    case "hash":
      return new Rendezvous();
  }
}
