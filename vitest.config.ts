import { defineConfig } from "vitest/config";

const withEmulator = ["test/**/*.emulator.test.ts", "test/**/*.e2e.test.ts"];
const slow = ["test/**/*.slow.test.ts"];
const MINUTE = 60_000;

/**
 * Three projects, by what a test needs: `fast` needs nothing, `emulator` the embedded AWS or a real dbt, `slow` time.
 * Emulator files run one after the other: two emulators and two dbt processes on two cores would time each other out.
 */
// biome-ignore lint/style/noDefaultExport: vitest reads its configuration from the default export.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "fast",
          include: ["test/**/*.test.ts"],
          exclude: [...withEmulator, ...slow, "test/fixtures/**"],
          testTimeout: 20_000,
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
          name: "slow",
          include: slow,
          fileParallelism: false,
          testTimeout: 20 * MINUTE,
          hookTimeout: 20 * MINUTE,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
