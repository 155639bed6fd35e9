import { computed, signal } from "@preact/signals";

export type Place =
  | { readonly page: "overview" | "explain" | "plan" | "decisions" | "events" }
  | { readonly page: "release"; readonly release: string };

const plain: ReadonlySet<string> = new Set(["explain", "plan", "decisions", "events"]);

const hash = signal(globalThis.location?.hash ?? "");

/** The address is in the fragment: the server has one page, and a link leads to the same view. */
export const place = computed(() => placeOf(hash.value));

export function placeOf(text: string): Place {
  const [page = "", name] = text.replace(/^#\/?/, "").split("/");
  if (page === "release" && name !== undefined && name !== "") return { page, release: decode(name) };
  if (plain.has(page)) return { page: page as "explain" };
  return { page: "overview" };
}

export function linkTo(target: Place): string {
  if (target.page === "overview") return "#/";
  return target.page === "release" ? `#/release/${encodeURIComponent(target.release)}` : `#/${target.page}`;
}

export function followAddress(onChange: () => void): void {
  addEventListener("hashchange", () => {
    hash.value = location.hash;
    onChange();
  });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
