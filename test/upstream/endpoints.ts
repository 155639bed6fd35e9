import { Endpoint } from "../../src/upstream/endpoint.ts";
import { addressOf } from "../../src/upstream/service-spec.ts";

export const endpoints = (count: number): Endpoint[] =>
  Array.from(
    { length: count },
    (_, index) => new Endpoint("shop", "stable", addressOf(`http://10.0.0.1:${9000 + index}`)),
  );
