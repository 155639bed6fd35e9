import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { canReusePort, cpuLimit, probeExclusiveBind, usableCores } from "../../src/workers/worker-count.ts";
import { upstream } from "../kit/freed.ts";

const unified = "/sys/fs/cgroup";

interface Case {
  readonly sentence: string;
  readonly files: Readonly<Record<string, string>>;
  readonly limit: number;
}

describe("cpuLimit", () => {
  it.each<Case>([
    { sentence: "is infinite without cgroups", files: {}, limit: Number.POSITIVE_INFINITY },
    {
      sentence: "reads the root of a container with cgroup v2",
      files: { "/proc/self/cgroup": "0::/\n", [`${unified}/cpu.max`]: "200000 100000\n" },
      limit: 2,
    },
    {
      sentence: "may be a fraction",
      files: { "/proc/self/cgroup": "0::/\n", [`${unified}/cpu.max`]: "150000 100000\n" },
      limit: 1.5,
    },
    {
      sentence: "is infinite if the quota of cgroup v2 is max",
      files: { "/proc/self/cgroup": "0::/\n", [`${unified}/cpu.max`]: "max 100000\n" },
      limit: Number.POSITIVE_INFINITY,
    },
    {
      sentence: "is the lowest of all levels of cgroup v2",
      files: {
        "/proc/self/cgroup": "0::/kubepods/pod1/app\n",
        [`${unified}/kubepods/cpu.max`]: "800000 100000\n",
        [`${unified}/kubepods/pod1/cpu.max`]: "300000 100000\n",
        [`${unified}/kubepods/pod1/app/cpu.max`]: "max 100000\n",
      },
      limit: 3,
    },
    {
      sentence: "reads the root if the path is the host's",
      files: { "/proc/self/cgroup": "0::/../../kubepods/pod1\n", [`${unified}/cpu.max`]: "50000 100000\n" },
      limit: 0.5,
    },
    {
      sentence: "divides the quota by the period for cgroup v1",
      files: {
        "/proc/self/cgroup": "12:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n1:name=systemd:/docker/a\n",
        [`${unified}/cpu/docker/a/cpu.cfs_quota_us`]: "250000\n",
        [`${unified}/cpu/docker/a/cpu.cfs_period_us`]: "50000\n",
      },
      limit: 5,
    },
    {
      sentence: "reads the root for cgroup v1 in a container, where the path is the host's",
      files: {
        "/proc/self/cgroup": "4:cpu,cpuacct:/docker/a\n",
        [`${unified}/cpu,cpuacct/cpu.cfs_quota_us`]: "400000\n",
        [`${unified}/cpu,cpuacct/cpu.cfs_period_us`]: "100000\n",
      },
      limit: 4,
    },
    {
      sentence: "is infinite if the quota of cgroup v1 is -1",
      files: {
        "/proc/self/cgroup": "1:cpu:/\n0::/\n",
        [`${unified}/cpu/cpu.cfs_quota_us`]: "-1\n",
        [`${unified}/cpu/cpu.cfs_period_us`]: "100000\n",
      },
      limit: Number.POSITIVE_INFINITY,
    },
    {
      sentence: "ignores other controllers",
      files: {
        "/proc/self/cgroup": "3:cpuset:/a\n2:cpuacct:/a\n",
        [`${unified}/cpu/a/cpu.cfs_quota_us`]: "100000\n",
        [`${unified}/cpu/a/cpu.cfs_period_us`]: "100000\n",
      },
      limit: Number.POSITIVE_INFINITY,
    },
  ])("$sentence", ({ files, limit }) => {
    expect(cpuLimit((path) => files[path])).toBe(limit);
  });
});

describe("usableCores", () => {
  it.each([
    { sentence: "are all without a limit", max: "max 100000", parallelism: 8, cores: 8 },
    { sentence: "are rounded down", max: "290000 100000", parallelism: 8, cores: 2 },
    { sentence: "are at least one", max: "20000 100000", parallelism: 8, cores: 1 },
    { sentence: "are at most the available parallelism", max: "800000 100000", parallelism: 3, cores: 3 },
    { sentence: "are all if the file is invalid", max: "many 0", parallelism: 4, cores: 4 },
  ])("$sentence", ({ max, parallelism, cores }) => {
    const files: Readonly<Record<string, string>> = { "/proc/self/cgroup": "0::/\n", [`${unified}/cpu.max`]: max };
    expect(usableCores((path) => files[path], parallelism)).toBe(cores);
  });
});

const refusing = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }));

it.each([
  { sentence: "a system without SO_REUSEPORT is detected by ENOTSUP", code: "ENOTSUP", can: false },
  { sentence: "any other failure is left to the real listener", code: "EMFILE", can: true },
])("$sentence", async ({ code, can }) => {
  expect(await canReusePort(refusing(code))).toBe(can);
});

it("canReusePort agrees with a real listener", async () => {
  const shared = async () => {
    const server = createServer();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once("error", reject).listen({ host: "127.0.0.1", port: 0, reusePort: true }, resolve);
    await promise.finally(() => server.close());
  };
  const works = await shared().then(
    () => true,
    () => false,
  );
  expect(await canReusePort()).toBe(works);
});

it("probeExclusiveBind rejects for a port in use, and succeeds for a free one", async () => {
  const { port } = await upstream("other");
  await expect(probeExclusiveBind({ host: "127.0.0.1", port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  await probeExclusiveBind({ host: "127.0.0.1", port: 0 });
});
