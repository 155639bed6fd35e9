import type { DemoSplit } from "./demo-config.ts";
import type { Stage } from "./stage.ts";

/** What is running where, and what to try. */
export function introduction({ proxyOrigin, adminOrigin }: Stage, { stable, canary }: DemoSplit): string {
  const split = `stable ${stable} %, canary ${canary} %`;
  return `Perch in front of two versions of a shop, and a small crowd of users.

  proxy    ${proxyOrigin}
  metrics  ${adminOrigin}/metrics
  admin    ${adminOrigin}

Users in cn-east registered after 2026-01-01 go to canary. All others are split,
${split}, and stay where they are.

Try it from another terminal:

  curl -i ${proxyOrigin}
    A new user each time, as no cookie is sent back: ${split}.

  curl -i -H 'x-user-region: cn-east' ${proxyOrigin}
    The same: the region alone does not satisfy the rule.

  curl -i -H 'x-user-region: cn-east' \\
       -H 'x-user-registered-at: 2026-03-01' ${proxyOrigin}
    Always canary 1.8.0: the rule matches.

`;
}
