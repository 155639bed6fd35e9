import type { ComponentChildren } from "preact";

interface InquiryFormProps {
  readonly onSubmit: () => void;
  readonly children: ComponentChildren;
}

/** A form around a large field, in which Enter begins a line: Ctrl or ⌘ with it submits. */
export function InquiryForm({ onSubmit, children }: InquiryFormProps) {
  return (
    <form
      class="card form inquiry"
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit();
      }}
      onKeyDown={(event) => {
        if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        onSubmit();
      }}
    >
      {children}
    </form>
  );
}
