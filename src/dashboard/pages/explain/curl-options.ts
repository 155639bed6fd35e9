/** Long names of curl's short options, as far as they may occur in a pasted command. */
export const shortOptions: Readonly<Record<string, string>> = {
  X: "request",
  H: "header",
  b: "cookie",
  d: "data",
  A: "user-agent",
  e: "referer",
  u: "user",
  F: "form",
  G: "get",
  I: "head",
  T: "upload-file",
  r: "range",
  K: "config",
  s: "silent",
  S: "show-error",
  L: "location",
  k: "insecure",
  v: "verbose",
  i: "include",
  N: "no-buffer",
  f: "fail",
  g: "globoff",
  "#": "progress-bar",
  "0": "http1.0",
  "1": "tlsv1",
  "2": "sslv2",
  "4": "ipv4",
  "6": "ipv6",
  a: "append",
  j: "junk-session-cookies",
  J: "remote-header-name",
  n: "netrc",
  O: "remote-name",
  p: "proxytunnel",
  q: "disable",
  R: "remote-time",
  Z: "parallel",
  c: "cookie-jar",
  C: "continue-at",
  D: "dump-header",
  E: "cert",
  m: "max-time",
  o: "output",
  P: "ftp-port",
  U: "proxy-user",
  w: "write-out",
  x: "proxy",
  y: "speed-time",
  Y: "speed-limit",
  z: "time-cond",
};

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** With a value, and without an effect on which version a request gets. */
export const valuedOptions = words(`
  cookie-jar continue-at dump-header cert cert-type key key-type pass cacert capath ciphers tls13-ciphers curves
  max-time connect-timeout output output-dir ftp-port proxy-user write-out proxy speed-time speed-limit time-cond retry
  retry-delay retry-max-time max-redirs max-filesize limit-rate resolve connect-to interface dns-servers
  keepalive-time noproxy socks5 socks5-hostname preproxy trace trace-ascii stderr netrc-file unix-socket
  abstract-unix-socket local-port tls-max happy-eyeballs-timeout-ms expect100-timeout hsts alt-svc pinnedpubkey
  create-file-mode parallel-max rate`);

/** Without a value, and without such an effect. */
export const flagOptions = words(`
  silent show-error location location-trusted insecure verbose include no-buffer buffer fail fail-with-body fail-early
  globoff progress-bar http0.9 http1.0 http1.1 http2 http2-prior-knowledge http3 http3-only tlsv1 tlsv1.0 tlsv1.1 tlsv1.2
  tlsv1.3 sslv2 sslv3 ssl-no-revoke ipv4 ipv6 append junk-session-cookies remote-header-name netrc netrc-optional
  remote-name remote-name-all proxytunnel disable remote-time parallel path-as-is raw tcp-nodelay tcp-fastopen keepalive
  no-keepalive no-progress-meter progress-meter sessionid no-sessionid styled-output no-styled-output compressed-ssh
  anyauth basic digest ntlm negotiate post301 post302 post303 create-dirs retry-all-errors retry-connrefused
  trace-time trace-ids alpn no-alpn npn no-npn tr-encoding ssl ssl-reqd cert-status proxy-insecure suppress-connect-headers`);
