import { certificateOf, type Draft, type YamlMap } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import type { SourceObject } from "../source-object.ts";

/** A listener of a Gateway, or of its ListenerSet. */
interface ValidatedListener {
  readonly gateway: Manifest;
  readonly spec: SourceObject;
  readonly port: number;
}

/**
 * `clientCa` of Perch's listener, for the Gateway's listeners of one port: it asks the clients of all their hosts. What
 * they asked for and it cannot is noted as lost protection. Empty if they asked for nothing.
 */
export function clientCertificates(listeners: readonly ValidatedListener[], draft: Draft): YamlMap {
  const found = listeners.map((listener) => ({ listener, validation: validationOf(listener) }));
  const [first] = found.filter(({ validation }) => validation.keys().length > 0);
  if (first === undefined) return {};
  const { validation, listener } = first;
  const where = titleOf(listener.gateway);
  const [ref, ...others] = validation.objects("caCertificateRefs");
  const kind = ref?.text("kind") || "ConfigMap";
  const isKnown = ref !== undefined && ref.text("group") === "" && /^(?:ConfigMap|Secret)$/.test(kind);
  const asText = JSON.stringify(contentsOf(validation));
  const isShared = found.every((one) => JSON.stringify(contentsOf(one.validation)) === asText);
  const isOptional = validation.peek("mode") === "AllowInsecureFallback";
  if (!isKnown || !isShared || isOptional) {
    const why = isOptional
      ? "those without a valid one were known as such; Perch asks all clients or none"
      : isShared
        ? "set `tls.clientCa` of the listener"
        : `those of other hosts of the port ${listener.port} did not, and a listener of Perch asks all or none`;
    draft.noteLostProtection(where, `${validation.path}: clients needed a certificate; ${why}`);
    return {};
  }
  const name = ref.text("name");
  const namespace = ref.text("namespace") || listener.gateway.namespace;
  const clientCa = certificateOf(namespace, name).caFile;
  const more = others.map((one) => `${one.text("kind") || "ConfigMap"} ${one.text("name")}`).join(", ");
  const added = more === "" ? "" : `; add the CAs of ${more} to that file`;
  draft.note(where, `clients need a certificate: mount the CAs of ${kind} ${name} (ca.crt) as ${clientCa}${added}`);
  return { clientCa };
}

/** Of the listener in the older form; else of its port, which replaces that of all ports. */
function validationOf({ gateway, spec, port }: ValidatedListener): SourceObject {
  const own = spec.object("tls").object("frontendValidation");
  if (own.keys().length > 0) return own;
  const frontend = gateway.spec.object("tls").object("frontend");
  const ofPort = frontend.objects("perPort").find((one) => one.peek("port") === port);
  return (ofPort?.object("tls") ?? frontend.object("default")).object("validation");
}

function contentsOf(validation: SourceObject): unknown {
  return [validation.peek("caCertificateRefs") ?? [], validation.peek("mode") ?? ""];
}
