import { expect, test } from "vitest";
import { parseKeyReference, referenceProblem } from "../../src/config/key-reference.ts";

const form = "kubernetes://configmap/NAMESPACE/NAME/KEY, or secret";
const rest = "configmap/shop/perch/perch.yaml";

test.each([`kubernetes://${rest}`, "kubernetes://secret/shop/pins.v1/TLS_key.pem"])("%s is a reference", (text) => {
  expect(referenceProblem(text)).toBeUndefined();
  expect(parseKeyReference(text)).toBeDefined();
});

test.each(["perch.yaml", "/etc/perch.yaml", "./a:b/c", "a//b", "-"])("%s is a file", (text) => {
  expect(referenceProblem(text)).toBeUndefined();
  expect(parseKeyReference(text)).toBeUndefined();
});

test.each([
  `kubernetes:/${rest}`,
  `kuberentes://${rest}`,
  `Kubernetes://${rest}`,
  "http://perch.test/a.yaml",
  "file:///a",
])("%s is neither", (text) => {
  expect(referenceProblem(text)).toBe(`is no file's path; of URLs only ${form}, is known`);
  expect(parseKeyReference(text)).toBeUndefined();
});

const allowed = "is not one that Kubernetes allows";
const nameRule = "(a-z, 0-9, dashes and dots, with a letter or digit at both ends)";
test.each([
  ["kubernetes://configmaps/shop/perch/perch.yaml", 'the kind "configmaps" must be configmap or secret'],
  ["kubernetes://", "the kind is missing"],
  ["kubernetes://secret", "the namespace is missing"],
  ["kubernetes://secret/shop", "the name is missing"],
  ["kubernetes://secret/shop/pins", "the key is missing"],
  ["kubernetes://secret/shop/pins/", "the key is missing"],
  ["kubernetes://secret//pins/secret", "the namespace is missing"],
  ["kubernetes://secret/shop/pins/a/b/c", 'there is more behind the key: "b/c"'],
  ["kubernetes://configmap/shop/perch_config/a", `the name "perch_config" ${allowed} ${nameRule}`],
  ["kubernetes://configmap/Shop/perch/a", `the namespace "Shop" ${allowed} ${nameRule}`],
  ["kubernetes://configmap/shop/perch/a b", `the key "a b" ${allowed} (letters, digits, dashes, dots and underscores)`],
])("of %s it is said what is wrong", (text, why) => {
  expect(referenceProblem(text)).toBe(`is not of the form ${form}: ${why}`);
  expect(parseKeyReference(text)).toBeUndefined();
});
