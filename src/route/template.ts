/** A fact of a request that a header's value may name. */
export type TemplateFact =
  | { readonly kind: "attribute"; readonly index: number; readonly name: string }
  | {
      readonly kind: "version" | "route" | "service" | "release" | "requestId" | "clientAddress" | "host" | "path";
    };

/** A value with facts in it: literal texts as octets (Latin-1), and what stands between them. */
export type Template = readonly (string | TemplateFact)[];
