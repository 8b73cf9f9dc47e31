import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { DOCS_FILES } from "#core/contracts/latest.ts";
import { artefactKeys } from "#core/names.ts";
import { sameOptions } from "../command-line.ts";
import type { CommonOptions, Context } from "../context.ts";
import { exitCodes, UsageError } from "../failure.ts";
import { printJson, printLines, say } from "../output.ts";
import { stateDirOf } from "../paths.ts";
import { openInBrowser, serveFolder } from "../serve-folder.ts";

export interface DocsFlags extends CommonOptions {
  readonly serve?: boolean;
  readonly open?: boolean;
  readonly port?: number;
}

/**
 * `stepwatch docs <project>`: the site that the newest `docs generate` of the project has made, fetched into a folder of
 * this machine and served on loopback until Ctrl-C.
 */
export async function docsCommand(context: Context, project: string, flags: DocsFlags): Promise<number> {
  const stack = await context.openStack(flags);
  const folder = join(stateDirOf(context.environment), "docs", stack.resources.bucket, project);
  const fresh = `${folder}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true });
  const files: string[] = [];
  for (const name of DOCS_FILES)
    if (await stack.artefacts.getFile(artefactKeys.latest("latest", project, `docs/${name}`), join(fresh, name)))
      files.push(name);
  if (!files.includes("index.html")) {
    await rm(fresh, { recursive: true, force: true });
    throw new UsageError(
      `There are no docs of ${project} yet: no run of its own target has run docs generate.`,
      `npx stepwatch dbt ${project}${sameOptions(flags)} -- docs generate`,
    );
  }
  await rm(folder, { recursive: true, force: true });
  await rename(fresh, folder);
  if (flags.serve === false) {
    if (flags.json) printJson(context, { contract: 1, project, folder, files });
    else printLines(context, [folder]);
    return exitCodes.green;
  }
  const site = await serveFolder(folder, files, flags.port ?? 0);
  try {
    if (flags.json) printJson(context, { contract: 1, project, folder, files, address: site.address });
    else printLines(context, [`${site.address}  (Ctrl-C ends it)`]);
    if (flags.open !== false) openInBrowser(site.address, context);
    if (!context.interrupted.aborted)
      await new Promise((resolve) => context.interrupted.addEventListener("abort", resolve, { once: true }));
    say(context, "Ended.");
    return exitCodes.green;
  } finally {
    await site.close();
  }
}
