import type { ConfigBody } from "../../admin/api.ts";
import { FirstItems } from "./first-items.tsx";

/** What the active configuration was warned of, each with its place. */
export function ConfigWarnings({ warnings }: Pick<ConfigBody["active"], "warnings">) {
  return (
    <FirstItems items={warnings}>
      {(shown) => (
        <ul class="plain-list">
          {shown.map(({ position, message }) => (
            <li key={`${position} ${message}`} lang="en">
              <code>{position}</code> {message}
            </li>
          ))}
        </ul>
      )}
    </FirstItems>
  );
}
