import { defaultCookieName } from "./compile-sticky.ts";
import type { Reading } from "./kit/schema.ts";
import type { Span } from "./kit/source-text.ts";
import { quote } from "./kit/tree.ts";
import type { Config } from "./schema.ts";

/**
 * A cookie that holds a pin may hold nothing else: pins are taken out of what goes upstream, and are set anew at will.
 * So no two releases, no override and no attribute may share its name.
 */
export function checkCookieNames(config: Config, reading: Reading): void {
  const pins = checkPins(config, reading);
  for (const { value } of config.releases) {
    const cookie = value.override?.cookie;
    const release = cookie === undefined ? undefined : pins.get(cookie);
    if (value.override === undefined || release === undefined) continue;
    refuse(reading, reading.spanOf(value.override, "cookie"), cookie ?? "", release);
  }
  for (const { value } of config.attributes) {
    for (const source of value.from) {
      const release = source.cookie === undefined ? undefined : pins.get(source.cookie);
      if (release !== undefined) refuse(reading, reading.spanOf(source, "cookie"), source.cookie ?? "", release);
    }
  }
}

/** The release of each pin's cookie. */
function checkPins({ releases }: Config, reading: Reading): ReadonlyMap<string, string> {
  const pins = new Map<string, string>();
  for (const entry of releases) {
    const { cookie } = entry.value.sticky;
    const name = cookie.name ?? defaultCookieName(entry.name);
    const other = pins.get(name);
    if (other === undefined) pins.set(name, entry.name);
    else
      refuse(
        reading,
        cookie.name === undefined ? reading.keySpanOf(entry) : reading.spanOf(cookie, "name"),
        name,
        other,
      );
  }
  return pins;
}

function refuse(reading: Reading, span: Span, cookie: string, release: string): void {
  const message = `the cookie ${quote(cookie)} is the pin of release ${release} already`;
  reading.error(span, "duplicate-name", message);
}
