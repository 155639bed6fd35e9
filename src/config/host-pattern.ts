/** Whether a host, or all hosts of a wildcard, are among those of `pattern`: a host, or `*.example.com` for any below. */
export function hasHost(pattern: string, host: string): boolean {
  return pattern === host || (pattern.startsWith("*.") && host.endsWith(pattern.slice(1)));
}
