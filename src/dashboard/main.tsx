import { effect } from "@preact/signals";
import { render } from "preact";
import { App } from "./app.tsx";
import { followAddress, place } from "./router.ts";
import { connectWhileSeen } from "./store/live.ts";
import { applyTheme } from "./theme.ts";
import { locale } from "./words/language.ts";
import { shellWords } from "./words/shell.ts";

applyTheme();
effect(() => {
  document.documentElement.lang = locale.value;
});
effect(() => {
  const at = place.value;
  const name = at.page === "release" ? at.release : shellWords.value.pages[at.page];
  document.title = `${name} · Perch`;
});
// A new page is read from its start, by eyes and by readers of the screen.
followAddress(() => {
  document.getElementById("content")?.focus();
  scrollTo(0, 0);
});
const root = document.getElementById("app");
if (root !== null) render(<App />, root);
connectWhileSeen();
