import { expect, test } from "vitest";
import { withoutUpstreamCertificates } from "../../../src/config/import/mounted-files.ts";

const service = (...keys: readonly string[]) =>
  ["    tls:", ...keys.map((key) => `      ${key}`), "    balance: p2c", ""].join("\n");

test.each([
  ["beside other keys", service("ca: /etc/perch/tls/a/ca.crt", "serverName: a"), "    tls:\n#      ca"],
  ["alone, and with it the section", service("ca: /etc/perch/tls/a/ca.crt"), "#    tls:\n#      ca"],
  [
    "all files of a section",
    service("cert: /etc/perch/tls/a/tls.crt", "key: /etc/perch/tls/a/tls.key"),
    "#    tls:\n#      cert",
  ],
  ["not files elsewhere", service("ca: /srv/ca.crt"), "    tls:\n      ca: /srv"],
])("certificates become comments: %s", (_what, config, wanted) => {
  const result = withoutUpstreamCertificates(config);
  expect(result).toContain(wanted);
  expect(result.split("\n")).toHaveLength(config.split("\n").length);
});
