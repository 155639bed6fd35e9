/**
 * Finds by the name that a client asks for (SNI): exact, then with its first label replaced by `*`. Where a name is given
 * twice the first holds.
 */
export class ServerNames<T> {
  readonly #byName = new Map<string, T>();

  add(name: string, value: T): void {
    if (!this.#byName.has(name)) this.#byName.set(name, value);
  }

  find(serverName: string): T | undefined {
    const name = serverName.toLowerCase().replace(/\.$/, "");
    const dot = name.indexOf(".");
    return this.#byName.get(name) ?? (dot < 0 ? undefined : this.#byName.get(`*${name.slice(dot)}`));
  }
}
