import { expect, test } from "vitest";
import { linkTo, type Place, placeOf } from "../../src/dashboard/places.ts";

const places: readonly Place[] = [
  { page: "overview" },
  { page: "explain" },
  { page: "events" },
  { page: "release", release: "shop" },
  { page: "release", release: "a/b c%20" },
];

test.each(places)("the link to $page leads there: $release", (place) => {
  expect(placeOf(linkTo(place))).toEqual(place);
});

test.each(["", "#", "#/", "#/release", "#/release/", "#/nothing", "#/constructor"])("%o is the overview", (text) => {
  expect(placeOf(text)).toEqual({ page: "overview" });
});

test("a name that is not encoded is taken as it is", () => {
  expect(placeOf("#/release/%zz")).toEqual({ page: "release", release: "%zz" });
});
