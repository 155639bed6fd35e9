import { latin1Slice } from "../../node-internals.ts";

/** Takes the pieces of a head, in order. */
export interface HeadTarget {
  addText(text: string): void;
  addBytes(bytes: Uint8Array, from: number, to: number): void;
  addView(view: Uint8Array): void;
}

/** Collects a head as text, for what changes its fields one by one. */
export class HeadText implements HeadTarget {
  text = "";

  addText(text: string): void {
    this.text += text;
  }

  addBytes(bytes: Buffer, from: number, to: number): void {
    this.text += latin1Slice(bytes, from, to);
  }

  addView(view: Uint8Array): void {
    this.addBytes(view as Buffer, 0, view.length);
  }
}
