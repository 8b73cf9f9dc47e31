import type { ImageRow } from "#core/contracts/project-rows.ts";
import type { ProjectSettings } from "#core/contracts/settings.ts";
import { isOverDeployed } from "#core/run/planning/chosen-image.ts";
import { byDigest } from "../../infra/resolve-tag.ts";
import { quoted, sameOptions } from "../command-line.ts";
import type { CommonOptions, Context, DeployedStack } from "../context.ts";
import { exitCodes, UsageError } from "../failure.ts";
import { recordHand } from "../hands.ts";
import { printJson, printLines } from "../output.ts";
import { notInStack } from "../run-end.ts";

export interface ImageFlags extends CommonOptions {
  readonly deployed?: boolean;
  readonly reason?: string;
}

/**
 * `stepwatch image <project> [image]`: which image the runs to come are built with, and another one without a deploy. A
 * run that has begun keeps its own.
 */
export async function imageCommand(
  context: Context,
  project: string,
  image: string | undefined,
  flags: ImageFlags,
): Promise<number> {
  if (image !== undefined && flags.deployed === true)
    throw new UsageError("An image and --deployed are two things: name one of them.", "npx stepwatch image --help");
  const stack = await context.openStack(flags);
  const settings = await stack.readSettings(project);
  if (settings === null) throw notInStack(project, (stack.projects ?? []).join(", "), flags);
  if (flags.deployed === true) await backToDeployed(context, stack, project, flags);
  const changed = image === undefined ? false : await choose(context, stack, { settings, image, flags });
  return await report(context, stack, settings, { changed: changed || flags.deployed === true, flags });
}

interface Choice {
  readonly settings: ProjectSettings;
  readonly image: string;
  readonly flags: ImageFlags;
}

/** Both definitions are registered before the row names them: what fails in between changes nothing. */
async function choose(
  context: Context,
  stack: DeployedStack,
  { settings, image: named, flags }: Choice,
): Promise<boolean> {
  const { project, producer, executionQueue } = settings;
  const image = await byDigest("image", named);
  const known = await stack.ledger.readImage(project);
  if (known !== null && known.image === image && isOverDeployed(settings, known)) return false;
  const row: ImageRow = {
    project,
    image,
    over: { producer: producer.taskDefinitionArn, executionQueue: executionQueue.taskDefinitionArn },
    producer: await stack.taskDefinitions.withImage(producer.taskDefinitionArn, producer.containerName, image),
    executionQueue: await stack.taskDefinitions.withImage(
      executionQueue.taskDefinitionArn,
      executionQueue.containerName,
      image,
    ),
    by: context.person,
    atMs: context.now(),
    reason: flags.reason ?? "",
  };
  await stack.ledger.chooseImage(row);
  const sentence = image === named ? `chose the image ${image}` : `chose the image ${image} (${named})`;
  await recordHand(context, stack, { project, action: "image", reason: row.reason, sentence });
  return true;
}

async function backToDeployed(
  context: Context,
  stack: DeployedStack,
  project: string,
  flags: ImageFlags,
): Promise<void> {
  if (!(await stack.ledger.dropImage(project))) return;
  const sentence = "went back to the deployed image";
  await recordHand(context, stack, { project, action: "image", reason: flags.reason ?? "", sentence });
}

async function report(
  context: Context,
  stack: DeployedStack,
  settings: ProjectSettings,
  { changed, flags }: { readonly changed: boolean; readonly flags: ImageFlags },
): Promise<number> {
  const { project, producer } = settings;
  const chosen = await stack.ledger.readImage(project);
  const deployed = await stack.taskDefinitions.imageOf(producer.taskDefinitionArn, producer.containerName);
  const holds = chosen !== null && isOverDeployed(settings, chosen);
  const image = holds ? chosen.image : deployed;
  if (flags.json) {
    const by =
      chosen === null ? null : { image: chosen.image, by: chosen.by, at: at(chosen), reason: chosen.reason, holds };
    printJson(context, { contract: 1, project, changed, image, deployed, chosen: by });
    return exitCodes.green;
  }
  const because = chosen?.reason ? `: ${chosen.reason}` : "";
  printLines(context, [
    `Runs of ${project} that begin from now on are built with ${image}.`,
    ...(holds
      ? [
          `  chosen by ${chosen.by} at ${at(chosen)}${because}`,
          `  → the deployed one: npx stepwatch image ${quoted(project)} --deployed${sameOptions(flags)}`,
        ]
      : []),
    ...(chosen !== null && !holds
      ? [
          `  ${chosen.image}, chosen by ${chosen.by} at ${at(chosen)}, counts no more: the stack was deployed after that.`,
          `  → npx stepwatch image ${quoted(project)} ${quoted(chosen.image)}${sameOptions(flags)}`,
        ]
      : []),
  ]);
  return exitCodes.green;
}

const at = ({ atMs }: ImageRow) => new Date(atMs).toISOString();
