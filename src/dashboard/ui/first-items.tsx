import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { count } from "../format/numbers.ts";
import { listWords } from "../words/lists.ts";

interface FirstItemsProps<T> {
  readonly items: readonly T[];
  readonly limit?: number;
  readonly children: (shown: readonly T[]) => ComponentChildren;
}

/** The first items of a list, and all of them on request. */
export function FirstItems<T>({ items, limit = 100, children }: FirstItemsProps<T>) {
  const isAll = useSignal(false);
  const words = listWords.value;
  return (
    <>
      {children(isAll.value ? items : items.slice(0, limit))}
      {items.length > limit && (
        <p class="more">
          <button type="button" aria-expanded={isAll.value} onClick={() => (isAll.value = !isAll.value)}>
            {isAll.value ? words.showFirst(count(limit)) : words.showAll(count(items.length))}
          </button>
        </p>
      )}
    </>
  );
}
