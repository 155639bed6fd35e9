import { mkdirSync, mkdtempSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * A directory that is updated as the kubelet updates a ConfigMap or Secret volume (AtomicWriter in
 * kubernetes/pkg/volume/util): the files lie in a timestamped directory, `..data` links to it, and each visible name
 * links into `..data`. An update writes a new directory, renames a new link over `..data`, and removes the old one.
 */
export class ConfigMapVolume {
  readonly directory: string;

  constructor(directory: string, files: Readonly<Record<string, string>>) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true });
    this.#publish(files);
    for (const name of Object.keys(files)) symlinkSync(join("..data", name), join(directory, name));
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
    for (const [name, contents] of Object.entries(files)) writeFileSync(join(fresh, name), contents);
    const link = join(this.directory, "..data_tmp");
    symlinkSync(fresh.slice(this.directory.length + 1), link);
    renameSync(link, join(this.directory, "..data"));
  }
}
