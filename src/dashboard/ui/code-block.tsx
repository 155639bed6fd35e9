interface CodeBlockProps {
  /** Names it for readers of the screen. */
  readonly label: string;
  readonly text: string;
}

/**
 * Text whose columns matter, such as an excerpt with a caret. A text field rather than `pre`: long lines scroll, and the
 * keyboard reaches them.
 */
export function CodeBlock({ label, text }: CodeBlockProps) {
  const rows = Math.min(24, text.split("\n").length);
  return (
    <textarea class="code-block" readOnly wrap="off" rows={rows} aria-label={label} value={text} spellcheck={false} />
  );
}
