import { describe, expect, test } from "vitest";
import { imported } from "../asked.ts";
import { answers, ingress, main } from "./ingresses.ts";

const other = (className: string, annotations = "{}") =>
  ingress("other", {}, [{ path: "/other", service: "other" }])
    .replace("ingressClassName: nginx, ", className === "" ? "" : `ingressClassName: ${className}, `)
    .replace("annotations: {}", `annotations: ${annotations}`);

const ingressClass = (name: string, controller: string, annotations = "{}") => `
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: { name: ${name}, annotations: ${annotations} }
spec: { controller: ${controller} }
`;

describe("an Ingress of another controller is left out, and named first", () => {
  test.each([
    ["alb", "alb", "{ alb.ingress.kubernetes.io/auth-type: cognito }"],
    ["kong", "kong", "{ konghq.com/plugins: key-auth }"],
    ["traefik", "traefik", "{ traefik.ingress.kubernetes.io/router.middlewares: auth }"],
    ["a class of traefik with another name", "traefik-internal", "{}"],
    ["gce", "gce-internal", "{}"],
    ["haproxy", "haproxy", "{ haproxy.org/whitelist: 10.0.0.0/8 }"],
    ["contour", "contour", "{}"],
    ["azure", "azure-application-gateway", "{}"],
    ["the older annotation", "", "{ kubernetes.io/ingress.class: azure/application-gateway }"],
    ["no class, with its annotations", "", "{ konghq.com/plugins: key-auth }"],
    ["F5's nginx, which has the same class", "nginx", "{ nginx.org/jwt-key: k }"],
  ])("%s", (_what, className, annotations) => {
    const yaml = `${main.replace(/path: "\/"/, 'path: "/shop"')}---${other(className, annotations)}`;
    const { notes } = imported(yaml);
    expect(answers(yaml)({ url: "/other" })).toBe("404");
    expect(notes[0]).toContain("Ingress shop/other: left out: it is for");
  });

  test("its annotations are named", () => {
    const { notes, config } = imported(`${main}---${other("", "{ konghq.com/plugins: key-auth }")}`);
    expect(notes[0]).toBe(
      "Ingress shop/other: left out: it is for Kong, and not for ingress-nginx; its annotations: konghq.com/plugins",
    );
    expect(config).toContain(
      "# Protection of the original that this configuration does not have:\n# - Ingress shop/other",
    );
  });

  test("the controller of an IngressClass in the input counts", () => {
    const kong = ingressClass("public", "ingress-controllers.konghq.com/kong");
    expect(imported(`${main}---${other("public")}---${kong}`).notes[0]).toContain(
      "it is for ingress-controllers.konghq",
    );
    const nginx = ingressClass("kong", "k8s.io/internal-ingress-nginx");
    expect(answers(`${other("kong")}---${nginx}`)({ url: "/other" })).toBe("other/stable");
  });

  test("without a class the default class counts", () => {
    const standard = '{ ingressclass.kubernetes.io/is-default-class: "true" }';
    const yaml = `${main}---${other("")}---${ingressClass("x", "example.com/gateway", standard)}`;
    expect(imported(yaml).notes[0]).toContain("it is for example.com/gateway");
  });
});

describe("an Ingress of ingress-nginx is imported", () => {
  test.each([
    ["without a class", "", "{}"],
    ["with a class that contains nginx", "nginx-internal", "{}"],
    ["with leftovers of another controller", "nginx", "{ konghq.com/plugins: key-auth }"],
    ["with its annotations and no class", "", '{ nginx.ingress.kubernetes.io/ssl-redirect: "false" }'],
  ])("%s", (_what, className, annotations) => {
    expect(answers(other(className, annotations))({ url: "/other" })).toBe("other/stable");
  });

  test("a class that is not known is named", () => {
    expect(imported(other("public")).notes.join("\n")).toContain("the class public is taken for one of ingress-nginx");
  });
});

describe("Ingresses of two controllers of ingress-nginx, which have an address each", () => {
  const internal = other("nginx-internal");
  const classes = [
    ingressClass("nginx", "k8s.io/ingress-nginx"),
    ingressClass("nginx-internal", "k8s.io/internal-ingress-nginx"),
  ];

  test.each([
    ["both classes are in the input", classes],
    ["nginx is the usual one", classes.slice(1)],
  ])("those of the second are left out, and named first: %s", (_what, known) => {
    const yaml = [main.replace('path: "/"', 'path: "/shop"'), internal, ...known].join("---");
    const { notes } = imported(yaml);
    expect(answers(yaml)({ url: "/shop" })).toBe("shop/stable");
    expect(answers(yaml)({ url: "/other" })).toBe("404");
    expect(notes[0]).toBe(
      "Ingress shop/other: left out: it is for the controller k8s.io/internal-ingress-nginx, other Ingresses are for k8s.io/ingress-nginx; each has an address of its own, and one may be internal: import the Ingresses of each by themselves",
    );
  });

  test("two classes of one controller are imported", () => {
    const same = ingressClass("nginx-internal", "k8s.io/ingress-nginx");
    const { notes } = imported([main, internal, same].join("---"));
    expect(notes).toEqual([]);
  });

  test("if the input does not tell, a note of lost protection says so", () => {
    const { notes, config } = imported([main, internal].join("---"));
    expect(notes[0]).toContain("the input: the Ingress classes nginx, nginx-internal may be of several controllers");
    expect(config).toContain("# Protection of the original that this configuration does not have:");
  });
});
