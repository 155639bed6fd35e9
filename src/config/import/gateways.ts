import type { Draft } from "./draft.ts";
import { type Manifest, titleOf } from "./manifests.ts";

/** Gateways are not imported: their ports, addresses and certificates are the listeners'. What they protect is noted. */
export function noteGateways(manifests: readonly Manifest[], draft: Draft): void {
  for (const gateway of manifests.filter(({ kind }) => kind === "Gateway")) {
    const where = titleOf(gateway);
    const listeners = [...gateway.spec.objects("servers"), ...gateway.spec.objects("listeners")];
    for (const listener of listeners) {
      const tls = listener.object("tls");
      if (tls.flag("httpsRedirect") === true) {
        const route =
          "add a first route `{ match: { scheme: http }, redirect: { scheme: https, status: 301 } }`, with its hosts";
        draft.noteLostProtection(where, `${tls.path}.httpsRedirect: plain requests were redirected to https; ${route}`);
      }
      if (tls.text("mode").includes("MUTUAL") || tls.has("frontendValidation")) {
        draft.noteLostProtection(where, `${tls.path}: clients needed a certificate; no equivalent`);
      }
    }
    draft.note(where, "not imported: set `listeners` with its ports, hosts and certificates", hasTls(listeners));
  }
}

const hasTls = (listeners: Manifest["spec"][]): boolean => listeners.some((listener) => listener.has("tls"));
