import { noLaterThan } from "./patience.ts";
import type { EndRecord } from "./record-end.ts";
import type { StopSwitch } from "./stop-switch.ts";
import type { ArtefactDeps } from "./task-artefacts.ts";

/** What a task still does once its end is recorded. Nothing of it decides, and it never rejects. */
export type AfterEnd = () => Promise<void>;

export const nothingMore: AfterEnd = async () => {};

/** Longest time that a container lives on for its uploads, in milliseconds: a manifest may be 100 MB. */
const AFTER_END_MS = 120_000;

interface UploadDeps {
  readonly artefacts: Pick<ArtefactDeps, "output">;
  readonly stop: StopSwitch;
  readonly record: Pick<EndRecord, "untilMs">;
}

/**
 * Uploads for people, while the run goes on: the ledger knows of the build all that decides (docs/adr/0045). A container
 * that ends meanwhile leaves out some of dbt's files, nothing else.
 */
export const uploadsAfterEnd =
  (deps: UploadDeps, upload: () => Promise<void>): AfterEnd =>
  async () => {
    const { output } = deps.artefacts;
    const uploading = upload().then(
      () => output.say("artefacts are uploaded"),
      (error: unknown) => output.say("artefacts could not be uploaded", { error: String(error) }),
    );
    if (
      (await unlessCutShort(
        uploading.then(() => true),
        deps,
      )) === null
    )
      output.say("artefacts are given up: no time is left");
  };

/** Null: the time was over first. Of a container that is stopped, ECS kills what is left after its stop timeout. */
async function unlessCutShort<T>(uploading: Promise<T>, { stop, record }: UploadDeps): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  let unlisten = () => {};
  const cutShort = new Promise<null>((resolve) => {
    unlisten = stop.listen(({ reason }) => {
      if (reason === "terminated")
        timer ??= setTimeout(() => resolve(null), Math.max(0, record.untilMs() - Date.now()));
    });
  });
  try {
    return await noLaterThan(Promise.race([uploading, cutShort]), Date.now() + AFTER_END_MS);
  } finally {
    unlisten();
    clearTimeout(timer);
  }
}
