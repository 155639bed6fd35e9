import type { ComponentChildren } from "preact";
import type { Tone } from "./badge.tsx";

interface NoticeProps {
  readonly tone: Tone;
  /** `alert`: read out at once; `status`: when the reader's program has a moment. */
  readonly role?: "alert" | "status";
  readonly children: ComponentChildren;
}

/** A line across the page that tells something about all of it. */
export function Notice({ tone, role, children }: NoticeProps) {
  return (
    <div class={`notice notice-${tone}`} {...(role && { role })}>
      {children}
    </div>
  );
}
