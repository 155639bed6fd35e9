import { expect, test } from "vitest";
import { SourceObject } from "../../../src/config/import/source-object.ts";

test("every key that was not read is named by its path, a part that was not looked into as a whole", () => {
  const source = new SourceObject({
    name: "a",
    route: [
      { weight: 1, headers: { set: {} } },
      { weight: 2, subset: "v1" },
    ],
    rewrite: { uri: "/", other: { deep: 1 } },
    retries: { attempts: 1 },
    nothing: null,
  });
  source.text("name");
  for (const route of source.objects("route")) route.number("weight");
  source.object("rewrite").text("uri");
  expect(source.unread()).toEqual(["route[0].headers", "route[1].subset", "rewrite.other", "retries"]);
});

test("a value of an unexpected type, or one that cannot be parsed, stays unread", () => {
  const source = new SourceObject({ text: ["a"], number: "ten", flag: "yes", list: [{}], map: [1], maps: "a", own: 1 });
  expect([source.text("text"), source.number("number"), source.flag("flag"), source.texts("list")]).toEqual([
    "",
    undefined,
    undefined,
    [],
  ]);
  expect([source.object("map").keys(), source.objects("maps"), source.take("own", () => undefined)]).toEqual([
    [],
    [],
    undefined,
  ]);
  expect(source.unread()).toEqual(["text", "number", "flag", "list", "map", "maps", "own"]);
});

test("what is dismissed counts as read, with all that it holds", () => {
  const source = new SourceObject({ a: { b: { c: 1 } }, d: 1 });
  expect(source.object("a").object("b").has("c")).toBe(true);
  source.dismiss("a");
  expect(source.unread()).toEqual(["d"]);
});
