import { defineConfig } from "vitest/config";
import { STACKS } from "./test/support/stacks.ts";

const withEmulator = ["test/**/*.emulator.test.ts"];
const endToEnd = ["test/**/*.e2e.test.ts"];
const slow = ["test/**/*.slow.test.ts"];
const lint = ["test/**/*.lint.test.ts"];
const onEndpoint = ["jaffle-shop.e2e", "orchard.e2e", "rounds.e2e", "stopping.slow", "resumed.slow"].map(
  (name) => `test/e2e/${name}.test.ts`,
);
const otherEngines = ["test/**/*.engine.test.ts"];
const MINUTE = 60_000;

/**
 * Seven projects, by what a test needs: `fast` needs nothing, `emulator` an emulator of its own or a real dbt, `e2e` the
 * deployed stack that its set-up makes, `linters` the linters of other people for templates and policies, `slow` time
 * beside a deployed stack, which has the projects that cost it, `engines` an engine that is not ours, which is installed
 * for it, `endpoint` the core of the end-to-end tests on whatever AWS has a URL (test/endpoint.ts).
 * Emulator files run one after the other: their bounds are those of one emulator on two cores. End-to-end files run two
 * at a time, each beside a stack of its own.
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
          exclude: [...withEmulator, ...endToEnd, ...slow, ...lint, ...otherEngines, "test/fixtures/**"],
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
          maxWorkers: STACKS,
          testTimeout: 5 * MINUTE,
          hookTimeout: 10 * MINUTE,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: "linters",
          include: lint,
          testTimeout: 5 * MINUTE,
          hookTimeout: 10 * MINUTE,
          sequence: { groupOrder: 3 },
        },
      },
      {
        test: {
          name: "slow",
          include: slow,
          globalSetup: "test/support/e2e-setup.ts",
          maxWorkers: STACKS,
          testTimeout: 20 * MINUTE,
          hookTimeout: 20 * MINUTE,
          sequence: { groupOrder: 4 },
        },
      },
      {
        test: {
          name: "engines",
          include: otherEngines,
          fileParallelism: false,
          testTimeout: 5 * MINUTE,
          hookTimeout: 10 * MINUTE,
          sequence: { groupOrder: 5 },
        },
      },
      {
        test: {
          name: "endpoint",
          include: onEndpoint,
          globalSetup: "test/support/e2e-setup.ts",
          fileParallelism: false,
          testTimeout: 5 * MINUTE,
          hookTimeout: 10 * MINUTE,
          sequence: { groupOrder: 6 },
        },
      },
    ],
  },
});
