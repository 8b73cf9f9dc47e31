import { copyFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Artefacts } from "#clients/artefacts.ts";
import type { RunKey } from "#clients/ledger.ts";
import { isDbt1 } from "#core/dbt/dbt-version.ts";
import type { LogEvent } from "#core/dbt/log-events.ts";
import { artefactKeys } from "#core/names.ts";
import type { LogOutput } from "./log-output.ts";
import { noLaterThan } from "./patience.ts";
import { PARTIAL_PARSE, savePartialParse, type TaskFolders } from "./task-folders.ts";

/** Larger ones are not handed on: some 20 kB a model, hence 10,000 models; what S3 would take longer for than dbt. */
const MAX_BYTES = 256 * 2 ** 20;

/** Longest wait for an earlier task's parse before dbt is started without it, in milliseconds: less than a parse takes. */
const FETCH_MS = 15_000;

export interface PartialParseDeps {
  readonly artefacts: Pick<Artefacts, "putFile" | "getFile">;
  readonly key: RunKey;
  readonly folders: TaskFolders;
  readonly output: LogOutput;
  /** False where dbt neither writes nor reads one: dbt 2, or a run that forbids it. */
  readonly used: boolean;
}

/** Whether dbt of this version, told these options, keeps a partial parse. */
export const usesPartialParse = (
  dbtVersion: string | null,
  options: { readonly noPartialParse?: boolean | undefined },
) => options.noPartialParse !== true && (dbtVersion === null || isDbt1(dbtVersion));

/**
 * dbt's partial parse on its way from the task that parsed the project to the run's later ones, each of which would
 * parse it anew otherwise: half a minute for a test of a tenth of a second. Only ever saves time: what goes wrong is a
 * line of the log. dbt itself ignores a file that it can not read, of another version, or of other variables, target or
 * connection.
 */
export class PartialParse {
  readonly #deps: PartialParseDeps;
  #received = false;
  #handing: Promise<void> | null = null;

  constructor(deps: PartialParseDeps) {
    this.#deps = deps;
  }

  /** Before dbt is started: lays the run's parse into the task's folders, in place of the project's own. Never rejects. */
  async fetch(): Promise<void> {
    if (!this.#deps.used) return;
    const { artefacts, key, folders, output } = this.#deps;
    const part = join(folders.build.targetDir, `${PARTIAL_PARSE}.part`);
    const getting = artefacts
      .getFile(artefactKeys.partialParse(key.project, key.runId), part)
      .catch((error: unknown) => {
        output.say("the run's partial parse could not be read", { error: String(error) });
        return false;
      });
    const there = await noLaterThan(getting, Date.now() + FETCH_MS);
    if (there === null) output.say("the run's partial parse came too late", { waitedMs: FETCH_MS });
    if (there !== true) return;
    this.#received = await this.#layOut(part);
  }

  /** Each event of dbt: the first that names the build's size or a vertex finds the file complete on the disk. */
  watch(event: LogEvent): void {
    if (event.kind === "concurrency" || event.kind === "started" || event.kind === "ended") this.handOn();
  }

  /** Hands on what dbt wrote into the build's folder, beside the build; once, and not what came from the run itself. */
  handOn(targetDir = this.#deps.folders.build.targetDir): void {
    if (this.#received || !this.#deps.used) return;
    this.#handing ??= this.#save(targetDir);
  }

  /** When everything that was begun is done. Never rejects. */
  async settled(): Promise<void> {
    await this.#handing;
  }

  async #layOut(part: string): Promise<boolean> {
    const { build, plan } = this.#deps.folders;
    try {
      await copyFile(part, join(plan.targetDir, PARTIAL_PARSE));
      await rename(part, join(build.targetDir, PARTIAL_PARSE));
      return true;
    } catch (error) {
      this.#deps.output.say("the run's partial parse could not be laid out", { error: String(error) });
      await rm(part, { force: true }).catch(() => undefined);
      return false;
    }
  }

  async #save(targetDir: string): Promise<void> {
    const { artefacts, key, folders, output } = this.#deps;
    const path = join(targetDir, PARTIAL_PARSE);
    try {
      const file = await stat(path).catch(() => null);
      if (!file?.isFile()) return;
      await savePartialParse(path, folders.build.projectDir);
      if (file.size > MAX_BYTES) output.say("the partial parse is too large to be handed on", { bytes: file.size });
      else await artefacts.putFile(artefactKeys.partialParse(key.project, key.runId), path);
    } catch (error) {
      output.say("the partial parse could not be handed on", { error: String(error) });
    }
  }
}
