/** A parsed semantic version; build data is dropped (https://semver.org, 2.0.0). */
export interface SemanticVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  readonly prerelease: readonly (string | number)[];
}

/** A compiled range: any of the alternatives, all of its comparators. */
export interface SemverRange {
  readonly source: string;
  test(version: SemanticVersion): boolean;
}
