import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { DescriptorReserve, descriptorLimits, fittingConnections } from "../../src/upstream/descriptor-reserve.ts";

describe("descriptorLimits", () => {
  it.each([
    [1_048_576, { clients: 1_048_376, upstreams: 1_048_476, admin: 1_048_526 }],
    [1_024, { clients: 824, upstreams: 924, admin: 974 }],
    [256, { clients: 192, upstreams: 224, admin: 240 }],
    [Number.POSITIVE_INFINITY, { clients: Infinity, upstreams: Infinity, admin: Infinity }],
  ])("of %d open files", (openFiles, wanted) => {
    expect(descriptorLimits(openFiles)).toEqual(wanted);
  });
});

describe("DescriptorReserve", () => {
  it("follows a limit that is changed while the process runs, and keeps the last one that it could read", () => {
    let nowMs = 0;
    let openFiles: number | undefined = 256;
    const reserve = new DescriptorReserve(
      () => nowMs,
      () => openFiles,
    );
    expect([reserve.allowsClient(191), reserve.allowsClient(192)]).toEqual([true, false]);
    openFiles = 1_024;
    expect(reserve.allowsClient(206)).toBe(false);
    expect(reserve.allowsClient(207)).toBe(true);
    nowMs = 100;
    expect([reserve.allowsClient(823), reserve.allowsClient(824)]).toEqual([true, false]);
    openFiles = undefined;
    nowMs = 200;
    expect(reserve.allowsClient(824)).toBe(false);
  });

  it("allows everything where the limit, or the descriptor, is unknown", () => {
    const unknown = new DescriptorReserve(
      () => 0,
      () => undefined,
    );
    expect([unknown.allowsClient(1e6), unknown.allowsAdmin(1e6), unknown.socketWithoutDescriptor()]).toEqual([
      true,
      true,
      undefined,
    ]);
    const tight = new DescriptorReserve(
      () => 0,
      () => 4,
    );
    expect([tight.allowsClient(undefined), tight.allowsAdmin(undefined)]).toEqual([true, true]);
  });

  it("has a failing socket in place of an upstream connection beyond its limit", async () => {
    const tight = new DescriptorReserve(
      () => 0,
      () => 4,
    );
    const socket = tight.socketWithoutDescriptor();
    expect(socket).toBeDefined();
    if (socket !== undefined) expect(await once(socket, "error")).toMatchObject([{ code: "EMFILE" }]);
  });
});

describe("fittingConnections", () => {
  it.each([
    ["one listener of one worker", 1, 4_096, 1_948],
    ["two listeners of two workers", 4, 4_096, 487],
    ["a very low limit", 1, 100, 32],
  ])("%s", (_sentence, listeners, limit, wanted) => {
    expect(fittingConnections(listeners, limit)).toBe(wanted);
  });

  it("uses the system's limit by default", () => {
    expect(fittingConnections(1)).toBeGreaterThanOrEqual(32);
  });
});
