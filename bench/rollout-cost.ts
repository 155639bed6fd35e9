/**
 * `node bench/rollout-cost.ts`: what a running rollout costs the fast lane. One process serves the same users by a split
 * of 90/10 and by a rollout at 10 %, in turns of seconds, so that what the machine does besides meets both.
 */
import { fileURLToPath } from "node:url";
import { Child, killChildrenAtExit, nodeCommand, planPinning } from "./child.ts";
import { describeMachine, machineLine } from "./machine.ts";
import { PinnedLoad, pinnedRequests } from "./pinned-load.ts";
import type { RolloutMode, RolloutPlaneAccount, RolloutPlaneListening } from "./rollout-plane.ts";
import type { UpstreamPorts } from "./running-proxy.ts";
import { inTurns, turnOptions, turnsText } from "./turns.ts";

const { rounds, turnMs, users, connections } = turnOptions(2);

/** After a change of mode, before a turn is measured. */
const settleMs = 500;

const script = (name: string) => fileURLToPath(new URL(`${name}.ts`, import.meta.url));

async function measure(): Promise<void> {
  const pinning = planPinning();
  console.log(`${machineLine(describeMachine())}; ${pinning.description}`);
  const upstream = new Child({ command: nodeCommand(script("upstream")), cpu: pinning.loadCpu, messages: true });
  const { stablePort, canaryPort } = await upstream.nextMessage<UpstreamPorts>();
  const plane = new Child({
    command: nodeCommand(script("rollout-plane")),
    cpu: pinning.proxyCpu,
    messages: true,
    env: { BENCH_STABLE_PORT: String(stablePort), BENCH_CANARY_PORT: String(canaryPort) },
  });
  const { port } = await plane.nextMessage<RolloutPlaneListening>();
  const tell = (mode: RolloutMode | undefined): Promise<RolloutPlaneAccount> => {
    const account = plane.nextMessage<RolloutPlaneAccount>();
    plane.send(mode === undefined ? {} : { mode });
    return account;
  };
  const modes = ["split", "rollout"] as const;
  const requests = new Map<RolloutMode, readonly string[]>();
  for (const mode of modes) {
    await tell(mode);
    requests.set(mode, await pinnedRequests(port, users));
  }
  const load = new PinnedLoad(port, connections);
  const turn = async (mode: RolloutMode): Promise<number> => {
    await tell(mode);
    // Meanwhile every user is seen twice, and is known.
    await load.run(requests.get(mode) ?? [], settleMs);
    const before = await tell(undefined);
    const answersBefore = load.answers;
    await load.run(requests.get(mode) ?? [], turnMs);
    const after = await tell(undefined);
    return ((after.cpuMs - before.cpuMs) * 1_000) / (load.answers - answersBefore);
  };
  const turns = await inTurns(modes, rounds, turn);
  const { sightings } = await tell(undefined);
  console.log(turnsText(turns, "µs of CPU a request"));
  console.log(`${load.answers} answers, ${load.wrong} wrong; ${sightings} sightings`);
  if (load.wrong > 0) throw new Error("some answers were wrong: a pin was replaced or a request failed");
  load.close();
  await Promise.all([plane.stop(), upstream.stop()]);
}

killChildrenAtExit();
await measure();
process.exit(0);
