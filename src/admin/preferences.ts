/** One range of an Accept or Accept-Encoding header. */
interface Preference {
  /** Lower case, such as `text/html`, `gzip` or `*`. */
  readonly value: string;
  readonly parameters: readonly string[];
  /** 0 to 1, where 0 means not acceptable. */
  readonly quality: number;
}

/** What an Accept or Accept-Encoding header names, RFC 9110 §12.4.2. */
export function preferences(header: string | undefined): readonly Preference[] {
  return (header ?? "")
    .toLowerCase()
    .split(",")
    .map((range) => {
      const [value = "", ...parameters] = range.split(";").map((part) => part.trim());
      return { value, parameters, quality: qualityIn(parameters) };
    });
}

function qualityIn(parameters: readonly string[]): number {
  const given = parameters.find((parameter) => parameter.startsWith("q="));
  const value = given === undefined ? 1 : Number(given.slice(2));
  return value >= 0 && value <= 1 ? value : 0;
}
