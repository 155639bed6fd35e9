import { answer, end, type LaneCase, request, responses, send } from "./lane-case.ts";

/** A response to an ordinary request, served by the fast lane. */
export const regular = (name: string, bytes: string, line = "GET /plain"): LaneCase => ({
  name,
  client: [send(request(line)), responses(1)],
  methods: [line.split(" ")[0] ?? ""],
  upstream: [bytes],
  regular: true,
});

/** A response after which the client's connection may stay or close. */
export const answered = (name: string, bytes: string, line = "GET /plain"): LaneCase => ({
  ...regular(name, bytes, line),
  client: request(line),
});

/** A response that ends with the upstream's connection. */
export const untilClose = (name: string, bytes: string, line = "GET /plain"): LaneCase => ({
  ...answered(name, bytes, line),
  upstream: [answer(send(bytes), end)],
});

/** Cases that end with a timeout, which run at once. */
export const isTimed = ({ name }: LaneCase): boolean =>
  name.endsWith(": the timeout") || name.includes("fffffffffffffff\\r");
export const untimed = (cases: readonly LaneCase[]): LaneCase[] => cases.filter((laneCase) => !isTimed(laneCase));
