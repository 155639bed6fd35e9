import { computed, signal } from "@preact/signals";
import { placeOf } from "./places.ts";

const fragment = signal(location.hash);

/** Where the page is. It is in the address's fragment: the server has one page, and a link leads to the same view. */
export const place = computed(() => placeOf(fragment.value));

export function followAddress(onChange: () => void): void {
  addEventListener("hashchange", () => {
    fragment.value = location.hash;
    onChange();
  });
}
