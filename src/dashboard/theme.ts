import { signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

const storageKey = "perch-theme";
const order: readonly Theme[] = ["system", "light", "dark"];

export const theme = signal<Theme>(order.find((known) => known === localStorage.getItem(storageKey)) ?? "system");

export function applyTheme(): void {
  const { dataset } = document.documentElement;
  if (theme.value === "system") delete dataset["theme"];
  else dataset["theme"] = theme.value;
}

export function nextTheme(): void {
  theme.value = order[(order.indexOf(theme.value) + 1) % order.length] ?? "system";
  localStorage.setItem(storageKey, theme.value);
  applyTheme();
}
