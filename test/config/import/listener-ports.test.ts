import { expect, test } from "vitest";
import { Draft } from "../../../src/config/import/draft.ts";
import { listenerPorts } from "../../../src/config/import/listener-ports.ts";
import { writeDraft } from "../../../src/config/import/write-draft.ts";

test.each([
  ["80 and 443 get ports that need no privileges", [80, 443, 8000], [8080, 8443, 8000]],
  ["a port of the original that is taken keeps it", [80, 8080], [18_080, 8080]],
  ["the admin server keeps its port", [9901], [19_901]],
])("%s", (_what, ports, wanted) => {
  const draft = new Draft();
  for (const port of ports) draft.listener(port);
  const found = listenerPorts(draft.listeners);
  expect(ports.map((port) => found.get(port))).toEqual(wanted);
});

test("a listener with TLS never becomes a plain one, even if its certificate is not known", () => {
  const draft = new Draft();
  draft.listener(443, []);
  expect(writeDraft(draft, [], "", [])).toMatch(
    /address: "?\*:8443"?\n\s+tls:\n\s+certificates:\n\s+- certFile: \/etc\/perch\/tls\/default-certificate\/tls\.crt/,
  );
});
