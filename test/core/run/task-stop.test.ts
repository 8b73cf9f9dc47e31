import { describe, expect, it } from "vitest";
import { type DescribedTask, type StoppedTask, taskStop } from "#core/run/watching/task-stop.ts";

const ran = { startedAt: new Date(1_000), stoppedAt: new Date(9_000) };
const neverRan = { stoppedAt: new Date(9_000) };
const died = { stopCode: "EssentialContainerExited", stoppedReason: "Essential container in task exited" };
const sidecar = { name: "log_router", exitCode: 1, reason: "OutOfMemoryError: Container killed due to memory usage" };

const stopped = (task: DescribedTask): DescribedTask => ({ lastStatus: "STOPPED", ...task });

const table: [string, DescribedTask, Partial<StoppedTask>][] = [
  [
    "a build that ended by itself",
    { ...ran, ...died, containers: [{ name: "dbt", exitCode: 0 }] },
    { exitCode: 0, outOfMemory: false, neverStarted: false, stopCode: "EssentialContainerExited", stoppedAtMs: 9_000 },
  ],
  [
    "D4: the kernel's kill, by the container's reason",
    {
      ...ran,
      ...died,
      containers: [{ name: "dbt", exitCode: 137, reason: "OutOfMemoryError: Container killed due to memory usage" }],
    },
    {
      exitCode: 137,
      outOfMemory: true,
      neverStarted: false,
      stoppedReason: "Essential container in task exited; OutOfMemoryError: Container killed due to memory usage",
    },
  ],
  [
    "D4: the kernel's kill, by the task's reason alone",
    {
      ...ran,
      stopCode: "EssentialContainerExited",
      stoppedReason: "OutOfMemoryError: container killed due to memory usage",
      containers: [{ name: "dbt", exitCode: 137 }],
    },
    { exitCode: 137, outOfMemory: true },
  ],
  [
    "SIGKILL for another reason",
    { ...ran, ...died, containers: [{ name: "dbt", exitCode: 137 }] },
    { exitCode: 137, outOfMemory: false, neverStarted: false },
  ],
  [
    "D6: SIGTERM by a person",
    {
      ...ran,
      stopCode: "UserInitiated",
      stoppedReason: "stopped by stepwatch",
      containers: [{ name: "dbt", exitCode: 143 }],
    },
    { exitCode: 143, stopCode: "UserInitiated", outOfMemory: false, neverStarted: false },
  ],
  [
    "D6: the Spot warning while it ran",
    { ...ran, stopCode: "SpotInterruption", containers: [{ name: "dbt", exitCode: 143 }] },
    { stopCode: "SpotInterruption", exitCode: 143, stoppedReason: null, neverStarted: false },
  ],
  [
    "D11: Spot took the place back before the container ran",
    { ...neverRan, stopCode: "SpotInterruption", containers: [{ name: "dbt" }] },
    { exitCode: null, neverStarted: true },
  ],
  [
    "D3: an image that can not be pulled",
    {
      ...neverRan,
      stopCode: "TaskFailedToStart",
      stoppedReason: "CannotPullContainerError: pull image manifest has been retried 5 time(s): not found",
      containers: [{ name: "dbt" }],
    },
    { neverStarted: true, exitCode: null, stopCode: "TaskFailedToStart" },
  ],
  [
    "D3: a secret that is not there",
    {
      ...neverRan,
      stopCode: "TaskFailedToStart",
      stoppedReason: "ResourceInitializationError: unable to pull secrets or registry auth",
      containers: [{ name: "dbt" }],
    },
    { neverStarted: true, outOfMemory: false },
  ],
  [
    "D3: a command that is not in the image, with an exit code that ECS made up",
    {
      ...ran,
      ...died,
      containers: [{ name: "dbt", exitCode: 127, reason: "CannotStartContainerError: exec: not found" }],
    },
    { neverStarted: true },
  ],
  [
    "a sidecar that failed and took the task with it: neither its exit code nor its memory is dbt's",
    { ...ran, ...died, containers: [sidecar, { name: "dbt", exitCode: 137 }] },
    { exitCode: 137, outOfMemory: false, neverStarted: false },
  ],
  [
    "a sidecar that failed while dbt was well",
    { ...ran, ...died, containers: [sidecar, { name: "dbt", exitCode: 0 }] },
    { exitCode: 0, outOfMemory: false, neverStarted: false },
  ],
  [
    "a sidecar that never started, after dbt had run",
    { ...ran, stopCode: "TaskFailedToStart", containers: [{ name: "log_router" }, { name: "dbt", exitCode: 143 }] },
    { exitCode: 143, neverStarted: false },
  ],
  [
    "a host that died under a running container",
    { ...ran, stopCode: "InfrastructureHealth", containers: [{ name: "dbt" }] },
    { exitCode: null, neverStarted: false, stopCode: "InfrastructureHealth" },
  ],
  ["no container of our name at all", { ...neverRan, containers: [] }, { exitCode: null, neverStarted: true }],
];

describe("a stopped task", () => {
  it.each(table)("%s", (_, task, expected) => {
    expect(taskStop(stopped(task), "dbt")).toMatchObject({ state: "stopped", ...expected });
  });
});

describe("a task that is not stopped", () => {
  it.each([
    ["PROVISIONING", "starting"],
    ["PENDING", "starting"],
    ["ACTIVATING", "starting"],
    ["RUNNING", "running"],
    ["DEACTIVATING", "running"],
    ["STOPPING", "running"],
    ["DEPROVISIONING", "running"],
    [undefined, "starting"],
  ] as const)("D10: %s is %s", (lastStatus, state) => {
    expect(taskStop({ lastStatus, containers: [{ name: "dbt", exitCode: 1 }] }, "dbt")).toEqual({ state });
  });
});
