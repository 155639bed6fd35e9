import { certificateFolder } from "./draft.ts";
import { escaped } from "./escaped.ts";

const mountedFile = new RegExp(`^ +(?:ca|cert|key): ${escaped(certificateFolder)}/\\S+$`, "gm");

/**
 * The configuration with the certificates of its services as comments, so that it loads where their files do not exist:
 * they are mounted where it will run. Its lines stay where they are.
 */
export function withoutUpstreamCertificates(config: string): string {
  return config.replace(/^( +)tls:\n(?:\1 +\S.*\n)+/gm, (tls) => {
    const rest = tls.replace(mountedFile, "#$&");
    // Without any key the section would be null, which is not valid.
    return /\n[^#\n]/.test(rest) ? rest : `#${rest}`;
  });
}
