export type Place =
  | { readonly page: "overview" | "explain" | "plan" | "decisions" | "events" }
  | { readonly page: "release"; readonly release: string };

const plain: ReadonlySet<string> = new Set(["explain", "plan", "decisions", "events"]);

/** The place that the address's fragment names; the overview if it names none. */
export function placeOf(fragment: string): Place {
  const [page = "", name] = fragment.replace(/^#\/?/, "").split("/");
  if (page === "release" && name !== undefined && name !== "") return { page, release: decode(name) };
  if (plain.has(page)) return { page: page as "explain" };
  return { page: "overview" };
}

export function linkTo(target: Place): string {
  if (target.page === "overview") return "#/";
  return target.page === "release" ? `#/release/${encodeURIComponent(target.release)}` : `#/${target.page}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
