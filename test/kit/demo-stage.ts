import { Crowd } from "../../src/cli/demo/crowd.ts";
import { type DemoStep, type Stage, startStage } from "../../src/cli/demo/stage.ts";
import { freeAfterTest } from "./freed.ts";

/** Steps that nobody waits for: the first one goes on until somebody acts or a check fails. */
const longSteps: readonly DemoStep[] = [
  { weight: 10, hold: "1h" },
  { weight: 50, hold: "1h" },
];

/** The demo on free ports with a rollout, and as many users who come and go. */
export async function startDemo({ users }: { readonly users: number }): Promise<Stage> {
  const stage = await startStage({
    split: { stable: 100, canary: 0 },
    steps: longSteps,
    ports: { proxyPort: 0, adminPort: 0 },
  });
  const crowd = new Crowd({
    proxyOrigin: stage.proxyOrigin,
    tally: { add: () => {} },
    run: "test",
    monotonicMs: () => performance.now(),
  });
  freeAfterTest(async () => {
    await crowd.close();
    await stage.close();
  });
  if (users > 0) crowd.start(users);
  return stage;
}
