/** A file of the dashboard, as it is served. */
export interface PageFile {
  /** Such as `/assets/main-3f9a12cd.js`; the digest in it lets browsers keep it for good. */
  readonly path: string;
  readonly type: string;
  readonly body: Buffer;
}

export interface PageSource {
  readonly html: string;
  readonly files: readonly PageFile[];
}
