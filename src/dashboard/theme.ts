import { signal } from "@preact/signals";
import { keepChoice, keptChoice } from "./store/choices.ts";

export type Theme = "system" | "light" | "dark";

const storageKey = "perch-theme";
const order: readonly Theme[] = ["system", "light", "dark"];

export const theme = signal<Theme>(order.find((known) => known === keptChoice(storageKey)) ?? "system");

export function applyTheme(): void {
  const { dataset } = document.documentElement;
  if (theme.value === "system") delete dataset["theme"];
  else dataset["theme"] = theme.value;
}

export function nextTheme(): void {
  theme.value = order[(order.indexOf(theme.value) + 1) % order.length] ?? "system";
  keepChoice(storageKey, theme.value);
  applyTheme();
}
