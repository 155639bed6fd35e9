/**
 * `node bench/limit-cost.ts`: what a rate limit costs the fast lane, counted in the process and counted in Redis. One
 * process serves the same users by three routes, in turns of seconds. Needs `redis-server`.
 */
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Child, killChildrenAtExit, nodeCommand, planPinning } from "./child.ts";
import { findProgram } from "./find-program.ts";
import { freePorts } from "./free-ports.ts";
import type { LimitPlaneAccount, LimitPlaneListening } from "./limit-plane.ts";
import { describeMachine, machineLine } from "./machine.ts";
import { PinnedLoad } from "./pinned-load.ts";
import type { UpstreamPorts } from "./running-proxy.ts";
import { inTurns, turnOptions, turnsText } from "./turns.ts";
import { requestHeaders } from "./users.ts";

const { rounds, turnMs, users, connections } = turnOptions(2);

const modes = ["unlimited", "own", "shared"] as const;
type Mode = (typeof modes)[number];

const script = (name: string) => fileURLToPath(new URL(`${name}.ts`, import.meta.url));

/** Each user's request by the route of this name. */
function requestsOf(mode: Mode): readonly string[] {
  return Array.from({ length: users }, (_, user) => {
    const fields = Object.entries({ ...requestHeaders(user, undefined), "x-user-id": String(user) });
    const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`);
    return `GET /${mode} HTTP/1.1\r\nhost: shop.example\r\n${lines.join("")}\r\n`;
  });
}

async function measure(): Promise<void> {
  const program = findProgram("redis-server", "--version");
  if (program === undefined) throw new Error("redis-server is not installed");
  const pinning = planPinning();
  console.log(`${machineLine(describeMachine())}; ${program.version}; ${pinning.description}`);
  const upstream = new Child({ command: nodeCommand(script("upstream")), cpu: pinning.loadCpu, messages: true });
  const { stablePort } = await upstream.nextMessage<UpstreamPorts>();
  const [redisPort = 0] = await freePorts(1);
  const redis = new Child({
    command: [program.file, "--bind", "127.0.0.1", "--port", String(redisPort), "--save", "", "--appendonly", "no"],
    cpu: pinning.loadCpu,
    messages: false,
  });
  await delay(1_000);
  const plane = new Child({
    command: nodeCommand(script("limit-plane")),
    cpu: pinning.proxyCpu,
    messages: true,
    env: { BENCH_STABLE_PORT: String(stablePort), BENCH_REDIS_PORT: String(redisPort) },
  });
  const { port } = await plane.nextMessage<LimitPlaneListening>();
  const account = (): Promise<LimitPlaneAccount> => {
    const told = plane.nextMessage<LimitPlaneAccount>();
    plane.send({});
    return told;
  };
  const requests = new Map(modes.map((mode) => [mode, requestsOf(mode)]));
  const load = new PinnedLoad(port, connections);
  const cpu = async (mode: Mode): Promise<number> => {
    const [before, answersBefore] = [await account(), load.answers];
    await load.run(requests.get(mode) ?? [], turnMs);
    return (((await account()).cpuMs - before.cpuMs) * 1_000) / (load.answers - answersBefore);
  };
  console.log(`${connections} connections:\n${turnsText(await inTurns(modes, rounds, cpu), "µs of CPU a request")}`);
  // Perch would close them while they are idle.
  load.close();
  const single = new PinnedLoad(port, 1);
  const latency = async (mode: Mode): Promise<number> => {
    const answersBefore = single.answers;
    await single.run(requests.get(mode) ?? [], turnMs);
    return (turnMs * 1_000) / (single.answers - answersBefore);
  };
  console.log(`one connection:\n${turnsText(await inTurns(modes, rounds, latency), "µs from request to response")}`);
  const { fallbacks } = await account();
  console.log(`${load.answers + single.answers} answers, ${load.wrong + single.wrong} wrong; ${fallbacks} fallbacks`);
  if (load.wrong + single.wrong > 0 || fallbacks > 0) throw new Error("some answers were wrong, or not by Redis");
  single.close();
  await Promise.all([plane.stop(), redis.stop(), upstream.stop()]);
}

killChildrenAtExit();
await measure();
process.exit(0);
