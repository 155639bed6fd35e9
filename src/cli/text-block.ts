/** What a terminal would obey rather than show, and marks that turn the direction of text. */
const controls = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/** Text of others, safe to write to a terminal: controls are shown as escapes such as `\u{1b}`. */
export function printable(text: string): string {
  return text.replace(controls, (control) => `\\u{${control.codePointAt(0)?.toString(16)}}`);
}

/** The same for JSON, which stays the same JSON. Line breaks are its own: within strings they are escaped already. */
export function printableJson(json: string): string {
  return json.replace(controls, (control) =>
    control === "\n" ? control : `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Two columns wide, by the blocks that Unicode's East Asian Width has as wide, roughly; and emoji. */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
const narrow = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** How many columns a terminal needs for a text. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) columns += widthOf(character);
  return columns;
}

function widthOf(character: string): 0 | 1 | 2 {
  if (character < "\u0300") return 1;
  return narrow.test(character) ? 0 : wide.test(character) ? 2 : 1;
}

export function padded(text: string, columns: number, side: "left" | "right"): string {
  const blanks = " ".repeat(Math.max(0, columns - columnsOf(text)));
  return side === "right" ? blanks + text : text + blanks;
}

/** The text, or as much of it as fits with an ellipsis. */
export function cut(text: string, columns: number): string {
  return columnsOf(text) <= columns ? text : `${beginning(text, columns - 1)}…`;
}

/** Lines of at most so many columns, each indented. Words that are longer, or a text without blanks, are broken. */
export function wrap(text: string, indent: string, columns = 80): string[] {
  const room = columns - indent.length;
  const lines: string[] = [];
  let line = "";
  for (let word of text.split(/\s+/)) {
    if (line !== "" && columnsOf(line) + 1 + columnsOf(word) <= room) {
      line += ` ${word}`;
      continue;
    }
    if (line !== "") lines.push(line);
    while (columnsOf(word) > room) {
      const first = beginning(word, room);
      lines.push(first);
      word = word.slice(first.length);
    }
    line = word;
  }
  return [...lines, line].map((each) => indent + each);
}

function beginning(text: string, columns: number): string {
  let taken = "";
  let room = columns;
  for (const character of text) {
    room -= widthOf(character);
    if (room < 0) break;
    taken += character;
  }
  return taken;
}
