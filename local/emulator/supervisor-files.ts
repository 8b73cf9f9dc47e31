import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Endpoints } from "../endpoints.ts";
import type { ProcessIdentity } from "../process-identity.mjs";

/** `<state folder>/embedded-aws.json`: written by `up`, then by the supervisor when it is ready; read by everybody. */
export interface SupervisorRecord {
  /** Also in its health answer: proves that what listens is what wrote this. */
  readonly nonce: string;
  readonly supervisor: ProcessIdentity;
  readonly ministack: ProcessIdentity | undefined;
  /** Absent while it starts. */
  readonly endpoints: Endpoints | undefined;
}

function recordPath(stateDir: string): string {
  return join(stateDir, "embedded-aws.json");
}

export function readRecord(stateDir: string): SupervisorRecord | undefined {
  try {
    return JSON.parse(readFileSync(recordPath(stateDir), "utf8")) as SupervisorRecord;
  } catch {
    return undefined;
  }
}

export function writeRecord(stateDir: string, record: SupervisorRecord): void {
  const path = recordPath(stateDir);
  writeFileSync(`${path}.${process.pid}`, JSON.stringify(record, null, 2));
  renameSync(`${path}.${process.pid}`, path);
}

export function removeRecord(stateDir: string): void {
  rmSync(recordPath(stateDir), { force: true });
}
