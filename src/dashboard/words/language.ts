import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { keepChoice, keptChoice } from "../store/choices.ts";

export type Language = "en" | "zh";

const storageKey = "perch-language";

/** The language that the reader chose before, else the browser's. */
function firstLanguage(): Language {
  const chosen = keptChoice(storageKey);
  if (chosen === "en" || chosen === "zh") return chosen;
  return globalThis.navigator?.language.startsWith("zh") ? "zh" : "en";
}

export const language = signal<Language>(firstLanguage());

export function chooseLanguage(chosen: Language): void {
  language.value = chosen;
  keepChoice(storageKey, chosen);
}

/** For `Intl` and the page's `lang`. */
export const locale = computed(() => (language.value === "zh" ? "zh-CN" : "en"));

/** The same words in both languages; reading `value` in a component follows the choice. */
export function translated<T extends object>(en: T, zh: T): ReadonlySignal<T> {
  return computed(() => (language.value === "zh" ? zh : en));
}
