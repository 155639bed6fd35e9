import { mkdirSync, mkdtempSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * A directory that is updated as the kubelet updates a ConfigMap or Secret volume (AtomicWriter in
 * kubernetes/pkg/volume/util): the files lie in a timestamped directory, `..data` links to it, and each visible name
 * links into `..data`. An update writes a new directory, renames a new link over `..data`, and removes the old one. In a
 * projected volume names may have folders; then the first folder is what is visible and links into `..data`.
 */
export class ConfigMapVolume {
  readonly directory: string;

  constructor(directory: string, files: Readonly<Record<string, string>>) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true });
    this.#publish(files);
    const visible = new Set(Object.keys(files).map((name) => name.split("/")[0] ?? name));
    for (const name of visible) symlinkSync(join("..data", name), join(directory, name));
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Swaps in new contents of the same names. */
  update(files: Readonly<Record<string, string>>): void {
    const old = readlinkSync(join(this.directory, "..data"));
    this.#publish(files);
    rmSync(join(this.directory, old), { recursive: true });
  }

  #publish(files: Readonly<Record<string, string>>): void {
    const fresh = mkdtempSync(join(this.directory, "..2026_01_02_15_04_05."));
    for (const [name, contents] of Object.entries(files)) {
      mkdirSync(dirname(join(fresh, name)), { recursive: true });
      writeFileSync(join(fresh, name), contents);
    }
    const link = join(this.directory, "..data_tmp");
    symlinkSync(fresh.slice(this.directory.length + 1), link);
    renameSync(link, join(this.directory, "..data"));
  }
}
