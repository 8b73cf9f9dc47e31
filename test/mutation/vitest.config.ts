import { defineConfig } from "vitest/config";

/**
 * The tests that mutants meet: tables and functions, without random projects and random worlds, which would take ten
 * seconds for each mutant that survives them. What those hold is shown by `npm run break-rules`.
 */
// biome-ignore lint/style/noDefaultExport: vitest reads its configuration from the default export.
export default defineConfig({
  test: {
    include: [
      "test/core/run/*.test.ts",
      "test/core/dbt/*.test.ts",
      "test/functions/*.test.ts",
      "test/scenarios/dbt-retry.test.ts",
    ],
    exclude: ["**/*.properties.test.ts", "test/core/dbt/properties.test.ts", "test/core/run/linear.test.ts"],
    env: { STEPWATCH_TEST_SEED: "1" },
    testTimeout: 60_000,
    isolate: false,
    maxWorkers: 1,
  },
});
