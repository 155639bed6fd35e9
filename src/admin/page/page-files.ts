import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { preferences } from "../preferences.ts";

/** A file that the page loads. The name changes with the content, so that browsers may keep it. */
export interface PageFile {
  /** Such as `/assets/app-3f9a12cd.js`. */
  readonly path: string;
  readonly type: string;
  readonly body: Buffer;
}

export interface BuiltPage {
  readonly html: string;
  readonly files: readonly PageFile[];
}

export type LoadPage = () => Promise<BuiltPage>;

/** Where the files of a page are. */
export const assetsPath = "/assets/";

/** The better ones first. */
const encodings = ["br", "gzip", "identity"] as const;
type Encoding = (typeof encodings)[number];

/** A file in the encodings that make it smaller. */
export interface PackedFile {
  readonly type: string;
  readonly tag: string;
  readonly bodies: ReadonlyMap<Encoding, Buffer>;
}

export interface PackedPage {
  readonly html: PackedFile;
  /** By path. */
  readonly files: ReadonlyMap<string, PackedFile>;
}

/** Loads and compresses the page when it is first asked for. */
export class PageFiles {
  readonly #load: LoadPage;
  #page: Promise<PackedPage> | undefined;

  constructor(load: LoadPage) {
    this.#load = load;
  }

  /** Rejects if the page cannot be loaded; the next call tries again. */
  page(): Promise<PackedPage> {
    this.#page ??= this.#packed();
    return this.#page;
  }

  async #packed(): Promise<PackedPage> {
    try {
      const { html, files } = await this.#load();
      const pack = async (file: PageFile) => [file.path, await packed(file)] as const;
      return {
        html: await packed({ type: "text/html; charset=utf-8", body: Buffer.from(html) }),
        files: new Map(await Promise.all(files.map(pack))),
      };
    } catch (error) {
      this.#page = undefined;
      throw error;
    }
  }
}

const compressed = {
  br: (body: Buffer) =>
    promisify(brotliCompress)(body, {
      params: {
        // The best takes ten times as long for a tenth less, and the first visitor waits for it.
        [constants.BROTLI_PARAM_QUALITY]: 9,
        [constants.BROTLI_PARAM_SIZE_HINT]: body.length,
      },
    }),
  gzip: (body: Buffer) => promisify(gzip)(body, { level: constants.Z_BEST_COMPRESSION }),
} as const;

async function packed({ type, body }: Pick<PageFile, "type" | "body">): Promise<PackedFile> {
  const [br, gzipped] = await Promise.all([compressed.br(body), compressed.gzip(body)]);
  const all = [["br", br] as const, ["gzip", gzipped] as const].filter(([, { length }]) => length < body.length);
  const tag = createHash("sha256").update(body).digest("hex").slice(0, 32);
  return { type, tag, bodies: new Map<Encoding, Buffer>([...all, ["identity", body]]) };
}

/** The encoding that an Accept-Encoding prefers of those that there are, RFC 9110 §12.5.3. */
export function encodingFor(header: string | undefined, { bodies }: Pick<PackedFile, "bodies">): Encoding {
  const given = new Map(preferences(header).map(({ value, quality }) => [value, quality]));
  // Without being named, identity is acceptable, but any encoding that is named is preferred.
  const qualityOf = (encoding: Encoding): number =>
    given.get(encoding) ?? (encoding === "identity" ? Number.MIN_VALUE : (given.get("*") ?? 0));
  let [best, bestQuality]: [Encoding, number] = ["identity", 0];
  for (const encoding of encodings) {
    if (!bodies.has(encoding) || qualityOf(encoding) <= bestQuality) continue;
    best = encoding;
    bestQuality = qualityOf(encoding);
  }
  return best;
}
