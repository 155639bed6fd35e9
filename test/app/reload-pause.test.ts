import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { upstream } from "../kit/freed.ts";
import { freePorts, perchOn, renameOver, temporaryFolder } from "../kit/served.ts";

const routes = 4_000;
/** Reading it where requests are served takes many times as long, and the build of its snapshot alone longer. */
const mostMs = 100;

/** `generation` changes all routes, or only the first. */
function configText(origin: string, generation: number, changed: "all" | "first"): string {
  const lines = Array.from({ length: routes }, (_, at) => {
    const totalS = changed === "all" || at === 0 ? 20 + generation : 20;
    return `  - { name: r${at}, match: { hosts: [h${at % 50}.example.com], path: { prefix: /p${at} } }, service: s${at % 500}, timeouts: { total: ${totalS}s } }`;
  });
  const services = Array.from(
    { length: 500 },
    (_, at) => `  s${at}: { versions: { v: { endpoints: ["${origin}"] } } }`,
  );
  return [freePorts, "services:", ...services, "routes:", ...lines, "  - { name: all, service: s0 }", ""].join("\n");
}

/** The most CPU time of this thread within a turn or two of its event loop, whatever else the machine does. */
function watchTurns() {
  const cpuMs = () => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1_000;
  };
  let [before, longest, isOver] = [cpuMs(), 0, false];
  const look = () => {
    const now = cpuMs();
    longest = Math.max(longest, now - before);
    before = now;
    if (!isOver) setTimeout(look, 1);
  };
  look();
  return () => {
    isOver = true;
    return longest;
  };
}

it.each(["all", "first"] as const)(
  `a reload of ${routes} routes holds no request up, whatever has changed: %s`,
  { tags: ["slow"], timeout: 120_000 },
  async (changed) => {
    const { origin } = await upstream("one");
    const file = join(await temporaryFolder(), "perch.yaml");
    await writeFile(file, configText(origin, 0, changed));
    const perch = await perchOn(file);
    const texts = [1, 2].map((generation) => configText(origin, generation, changed));
    const reloads = () => perch.app.live.logAfter(0).filter(({ kind }) => kind === "config").length;
    for (const text of texts) {
      const before = reloads();
      await renameOver(file, text);
      const longest = watchTurns();
      let answers = 0;
      for (; reloads() === before; answers++) expect((await fetch(perch.origin)).status).toBe(200);
      // The live view looks at the new configuration once a second.
      await delay(1_100);
      expect(longest()).toBeLessThan(mostMs);
      expect(answers).toBeGreaterThan(10);
    }
    const status = await (await perch.admin("/api/config")).json();
    expect(status).toMatchObject({ lastError: null });
    expect(await perch.metric('perch_config_reloads_total{result="success"}')).toBe(2);
  },
);
