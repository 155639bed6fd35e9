import { hash } from "node:crypto";
import { classify, digestOfBytes } from "./portable-values.ts";

/** The length of a fingerprint: SHA-256 as base64url. */
export const fingerprintLength = 43;

/** Stands for a part that is too large to be compared within a turn of the event loop. */
const none = " ".repeat(fingerprintLength);

/** The most values that a part may have to be compared: some 5 ms. */
const maxValues = 20_000;

/**
 * Equal for parts of compiled configurations that mean the same, in every thread. Undefined stands for a part that is too
 * large to be compared.
 */
export function fingerprintOf(part: unknown): string {
  const text = new FingerprintText();
  return text.add(part) ? hash("sha256", text.written, "base64url") : none;
}

export const isComparable = (fingerprint: string): boolean => fingerprint !== none;

class FingerprintText {
  written = "";
  #valuesLeft = maxValues;

  /** False if there are too many values. */
  add(value: unknown): boolean {
    if (this.#valuesLeft-- <= 0) return false;
    const found = classify(value);
    switch (found.kind) {
      case "plain":
        this.written += typeof found.value === "string" ? JSON.stringify(found.value) : String(found.value);
        return true;
      case "list":
        return this.#addAll("[", found.items);
      case "set":
        return this.#addAll("set[", found.members);
      case "record":
        return this.#addRecord(found.record);
      case "bytes":
        this.written += `bytes ${digestOfBytes(found.bytes)}`;
        return true;
      case "pattern":
        this.written += `pattern ${JSON.stringify(found.pattern.source)}`;
        return true;
      case "replacement":
        this.written += `replacement ${JSON.stringify([found.pattern.source, found.pattern.data.replacement])}`;
        return true;
      case "values":
        this.written += `values ${JSON.stringify([found.list.path, found.list.key])}`;
        return true;
      case "semver":
      case "range":
        this.written += `${found.kind} ${JSON.stringify(found.text)}`;
        return true;
      case "rollout":
        this.written += "rollout";
        return true;
      case "geo":
      case "key":
        // They are in no part that is compared.
        return false;
    }
  }

  #addAll(begin: string, items: readonly unknown[]): boolean {
    this.written += begin;
    for (const item of items) {
      if (!this.add(item)) return false;
      this.written += ",";
    }
    this.written += "]";
    return true;
  }

  #addRecord(record: Readonly<Record<string, unknown>>): boolean {
    this.written += "{";
    for (const key of Object.keys(record)) {
      this.written += `${JSON.stringify(key)}:`;
      if (!this.add(record[key])) return false;
      this.written += ",";
    }
    this.written += "}";
    return true;
  }
}
