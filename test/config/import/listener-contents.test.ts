import { expect, test } from "vitest";
import { certificateOf, Draft } from "../../../src/config/import/draft.ts";
import { listenerContents } from "../../../src/config/import/listener-contents.ts";

function addresses(...ports: readonly number[]): unknown {
  const draft = new Draft();
  for (const port of ports) draft.listener(port);
  return listenerContents(draft.listeners).map((listener) => listener["address"]);
}

test.each([
  ["80 and 443 get ports that need no privileges", [80, 443, 8000], ["*:8080", "*:8443", "*:8000"]],
  ["a port of the original that is taken keeps it", [80, 8080], ["*:18080", "*:8080"]],
  ["the admin server keeps its port", [9901], ["*:19901"]],
])("%s", (_what, ports, wanted) => {
  expect(addresses(...ports)).toEqual(wanted);
});

test("a listener with TLS never becomes a plain one, even if its certificate is not known", () => {
  const draft = new Draft();
  draft.listener(443, []);
  draft.listener(8443, [certificateOf("shop", "shop-tls")]);
  expect(listenerContents(draft.listeners).map((listener) => listener["tls"])).toEqual([
    { certificates: [{ certFile: "/etc/perch/tls/default-certificate/tls.crt", keyFile: expect.any(String) }] },
    { certificates: [{ certFile: "/etc/perch/tls/shop-shop-tls/tls.crt", keyFile: expect.any(String) }] },
  ]);
});
