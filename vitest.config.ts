import { defineConfig } from "vitest/config";

const withEmulator = ["test/**/*.emulator.test.ts"];
const endToEnd = ["test/**/*.e2e.test.ts"];
const slow = ["test/**/*.slow.test.ts"];
const MINUTE = 60_000;

/**
 * Four projects, by what a test needs: `fast` needs nothing, `emulator` an emulator of its own or a real dbt, `e2e` the
 * deployed stack that its set-up makes, `slow` time beside that: its stack has the projects that cost it.
 * Emulator files run one after the other: two emulators and two dbt processes on two cores would time each other out.
 */
// biome-ignore lint/style/noDefaultExport: vitest reads its configuration from the default export.
export default defineConfig({
  test: {
    // Vitest would leave one of two cores idle; some tests wait for child processes.
    maxWorkers: 3,
    projects: [
      {
        test: {
          name: "fast",
          include: ["test/**/*.test.ts"],
          exclude: [...withEmulator, ...endToEnd, ...slow, "test/fixtures/**"],
          // Bounds of a hang, not of a slow machine: a synth of the whole stack takes 2 s, and 17 s under a load of 26.
          testTimeout: MINUTE,
          hookTimeout: MINUTE,
          // Files share their worker's modules: to load zod, the AWS SDK and the CDK for each of 70 files is a third of
          // the time. No module under test keeps state, and a test that takes over the clock gives it back.
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "emulator",
          include: withEmulator,
          fileParallelism: false,
          testTimeout: 5 * MINUTE,
          hookTimeout: 10 * MINUTE,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "e2e",
          include: endToEnd,
          globalSetup: "test/support/e2e-setup.ts",
          fileParallelism: false,
          testTimeout: 5 * MINUTE,
          hookTimeout: 10 * MINUTE,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: "slow",
          include: slow,
          globalSetup: "test/support/e2e-setup.ts",
          fileParallelism: false,
          testTimeout: 20 * MINUTE,
          hookTimeout: 20 * MINUTE,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
