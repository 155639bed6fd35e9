import { certificateOf, type Draft, type DraftCertificate } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import type { SourceObject } from "../source-object.ts";
import type { EntryPoints } from "./entry-points.ts";

/** The listener of an entry point, and the middlewares of all its routes. */
interface Place {
  readonly listeners: readonly string[];
  readonly middlewares: readonly string[];
}

/** Where routes are served: the entry points of their objects, and the listeners of these. */
export class TraefikPlaces {
  readonly #draft: Draft;
  /** The names of the TLSOptions in the input. */
  readonly #options: ReadonlySet<string>;
  readonly #entryPoints: EntryPoints;
  /** Those where a route has TLS. */
  readonly #securePorts: Set<number>;

  constructor(ofTraefik: readonly Manifest[], entryPoints: EntryPoints, draft: Draft) {
    this.#entryPoints = entryPoints;
    this.#securePorts = new Set([...entryPoints.secure].flatMap((name) => entryPoints.ports.get(name) ?? []));
    this.#draft = draft;
    const options = ofTraefik.filter(({ kind }) => kind === "TLSOption");
    this.#options = new Set(
      options.flatMap(({ namespace, name }) => [`${namespace}/${name}`, `${namespace}-${name}@kubernetescrd`]),
    );
  }

  /** Finds the ports where objects with `tls` are served. A listener cannot serve plain HTTP beside TLS. */
  findSecurePorts(withTls: readonly Manifest[]): void {
    const add = (name: string) => {
      const port = this.#entryPoints.ports.get(name);
      if (port !== undefined && !this.#isPlain(name)) this.#securePorts.add(port);
    };
    const named = withTls.map(({ spec }) => entryPointNames(spec));
    for (const name of named.flat()) add(name);
    if (named.some((names) => names.length === 0)) for (const name of this.#defaults(true)) add(name);
  }

  /** Where the object's routes are served, or why they are not. */
  of(manifest: Manifest): readonly Place[] | { readonly problem: string } {
    const { spec, namespace } = manifest;
    const { ports, secure } = this.#entryPoints;
    const hasTls = spec.has("tls");
    const certificates = this.#certificates(spec.object("tls"), namespace);
    const written = entryPointNames(spec);
    const names = written.length > 0 ? written : this.#defaults(hasTls);
    const unknown = names.filter((name) => !ports.has(name));
    if (unknown.length > 0 && unknown.length === names.length) {
      const known = [...ports.keys()].join(", ");
      return { problem: `the port of its entry point ${unknown.join(", ")} is not known, only those of ${known}` };
    }
    if (unknown.length > 0) {
      this.#draft.leftOut(`the entry point ${unknown.join(", ")}`, "left out for all routes: its port is not known");
    }
    const known = names.filter((name) => ports.has(name));
    // With `tls` a route takes requests over TLS only, on every entry point.
    const isServed = (name: string) =>
      hasTls ? !this.#isPlain(name) : secure.has(name) || !this.#securePorts.has(ports.get(name) ?? 0);
    const served = known.filter(isServed);
    if (served.length === 0 && hasTls) return { problem: "it has `tls`, and its entry points are those of plain HTTP" };
    const mixed = known.filter((name) => !hasTls && !isServed(name)).join(", ");
    const why = `without \`tls\` it was served over plain HTTP on ${mixed || "the default entry points"}, beside routes with TLS, and a listener cannot do both`;
    if (served.length === 0) return { problem: why };
    if (mixed !== "") this.#draft.leftOut(titleOf(manifest), `left out on the entry point ${mixed}: ${why}`);
    return served.map((name) => {
      const isSecure = hasTls || secure.has(name);
      const port = ports.get(name) ?? 0;
      const listener = this.#draft.listener(port, isSecure ? certificates : undefined);
      if (isSecure && certificates.length === 0) this.#noteCertificate(name, listener);
      if (isSecure) this.#noteOptions(name);
      if (!isSecure && port === 443) {
        this.#draft.note(`the entry point ${name}`, "neither it nor a route has `tls`: its listener is for plain HTTP");
      }
      return { listeners: [listener], middlewares: this.#entryPoints.middlewares.get(name) ?? [] };
    });
  }

  /** Whether all that an entry point serves is plain HTTP. */
  #isPlain(name: string): boolean {
    const { ports, redirecting, secure } = this.#entryPoints;
    return !secure.has(name) && (ports.get(name) === 80 || redirecting.has(name));
  }

  /** The entry points of objects that name none. */
  #defaults(hasTls: boolean): readonly string[] {
    const { defaults, ports, secure } = this.#entryPoints;
    const isSecure = (name: string) => secure.has(name) || this.#securePorts.has(ports.get(name) ?? 0);
    if (!hasTls) {
      return defaults.length === 0 ? ["web"] : defaults.filter((name) => secure.has(name) || !isSecure(name));
    }
    const found = defaults.filter((name) => isSecure(name) || (!this.#isPlain(name) && /secure|https|tls/.test(name)));
    return found.length === 0 ? ["websecure"] : found;
  }

  #noteCertificate(name: string, listener: string): void {
    const source = "where no Secret is named, Traefik uses a certificate of its resolver or its default";
    this.#draft.note(`the entry point ${name}`, `${source}: add those to the listener ${listener}`);
  }

  /** The notes of a TLSOption in the input say what it does. */
  #noteOptions(name: string): void {
    const options = this.#entryPoints.tlsOptions.get(name);
    if (options === undefined || this.#options.has(options)) return;
    const what = `its TLSOption ${options} is not in the input; it may require certificates of clients`;
    this.#draft.noteLostProtection(`the entry point ${name}`, what);
  }

  #certificates(tls: SourceObject, namespace: string): readonly DraftCertificate[] {
    const secret = tls.text("secretName");
    const options = tls.object("options");
    // The notes of a TLSOption say what it does.
    const isKnown = this.#options.has(`${options.peek("namespace") ?? namespace}/${options.peek("name")}`);
    if (isKnown) tls.dismiss("options");
    // Hints for those who issue certificates.
    tls.dismiss("domains", "store", "certResolver");
    return secret === "" ? [] : [certificateOf(namespace, secret)];
  }
}

const entryPointNames = (spec: SourceObject): readonly string[] =>
  spec.texts("entryPoints").map((name) => name.toLowerCase());
