import { DEFAULT_DBT_PACKAGES } from "#core/config.ts";
import { MINISTACK_REQUIREMENTS } from "#local/emulator/ministack.ts";
import { ensureVenv } from "#local/python.ts";
import { NO_TESTS } from "./counts.ts";
import type { PhaseResult } from "./phases.ts";

/**
 * Makes what the tests with emulator and dbt need, so that no test waits for an installation inside its own time
 * limit. The Python environments are shared by all tests and by `npm start`.
 */
export async function setUp(): Promise<PhaseResult> {
  const onProgress = (line: string) => process.stdout.write(`${line}\n`);
  await Promise.all([
    ensureVenv(MINISTACK_REQUIREMENTS, { label: "the environment of the AWS emulator", onProgress }),
    ensureVenv(DEFAULT_DBT_PACKAGES, { label: "the dbt environment", onProgress }),
  ]);
  return { counts: NO_TESTS };
}
