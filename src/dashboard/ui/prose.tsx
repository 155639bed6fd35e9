/** A sentence of the server, in which backticks mark what one types. */
export function Prose({ text }: { readonly text: string }) {
  const parts = text.split("`");
  return <>{parts.map((part, index) => (index % 2 === 1 ? <code key={part + index}>{part}</code> : part))}</>;
}
