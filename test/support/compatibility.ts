import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compatibilityDocument, REAL_RUNS_FILE, type RealRuns, realRuns } from "./compatibility-document.ts";
import { E2E_DBT_PACKAGES } from "./e2e-packages.ts";

/**
 * Writes docs/dbt-compatibility.md anew. Where `npm test` or `npm run test:all` has left its reports, what passed there
 * is kept first in test/fixtures/real-runs.json; a part that was not run keeps what it said before.
 */
const root = join(import.meta.dirname, "../..");

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[];
  }[];
}

function passedIn(project: string): string[] {
  const path = join(root, ".stepwatch/reports", `${project}.json`);
  if (!existsSync(path)) return [];
  const report = JSON.parse(readFileSync(path, "utf8")) as Report;
  return report.testResults
    .filter((file) => file.name.includes("/test/e2e/"))
    .flatMap((file) => file.assertionResults.filter((one) => one.status === "passed").map((one) => one.title));
}

const passed = new Set([...realRuns().passed, ...passedIn("e2e"), ...passedIn("slow")]);
const real: RealRuns = { dbt: E2E_DBT_PACKAGES, passed: [...passed].sort() };
writeFileSync(REAL_RUNS_FILE, `${JSON.stringify(real, null, 2)}\n`);
writeFileSync(join(root, "docs/dbt-compatibility.md"), await compatibilityDocument(real));
