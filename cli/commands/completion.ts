import type { Command } from "commander";
import { InputError } from "#core/errors.ts";
import { commandWords } from "../completion/command-words.ts";
import { completionScript, type Shell } from "../completion/scripts.ts";
import type { Context } from "../context.ts";
import { exitCodes } from "../failure.ts";
import { printLines } from "../output.ts";

/** `stepwatch completion <shell>`: the script that a shell reads; `projects`, which these scripts ask for, is one name a line. */
export async function completionCommand(context: Context, shell: Shell | "projects", top: Command): Promise<number> {
  if (shell === "projects") printLines(context, projects(context));
  else context.out.write(completionScript(shell, commandWords(top)));
  return exitCodes.green;
}

/** Who presses Tab is told nothing of a stepwatch.yaml that is not there or does not hold. */
function projects(context: Context): string[] {
  try {
    return Object.keys(context.loadConfig(undefined).projects);
  } catch (error) {
    if (error instanceof InputError) return [];
    throw error;
  }
}
