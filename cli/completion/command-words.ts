import type { Command, Option } from "commander";

/** What may stand in a place of the command line: one of some words, a project of stepwatch.yaml, a file, or anything. */
export type Place = readonly string[] | "projects" | "files" | "anything";

export interface OptionWords {
  /** `--select`, `-s`. */
  readonly flags: readonly string[];
  readonly description: string;
  /** Null of an option that takes no value. */
  readonly value: Place | null;
}

export interface CommandWords {
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionWords[];
  /** Of its arguments in their order; the last one may be repeated. */
  readonly places: readonly Place[];
}

/** Arguments by their names; those of commands that list what they take say so themselves. */
const ARGUMENTS: Readonly<Record<string, Place>> = {
  project: "projects",
  action: ["up", "down", "status", "reset"],
  word: ["good", "skip", "none"],
  log: "files",
  "dbt-projects": "files",
};

/** Everything that can be completed, from the commands themselves: what is added there is completed here. */
export const commandWords = (top: Command): CommandWords[] =>
  top.commands.map((command) => ({
    name: command.name(),
    description: command.description(),
    options: [...command.options.filter(({ hidden }) => !hidden).map(optionWords), HELP],
    places: command.registeredArguments.map(
      (argument) => argument.argChoices ?? ARGUMENTS[argument.name()] ?? "anything",
    ),
  }));

const HELP: OptionWords = { flags: ["--help"], description: "what the command takes", value: null };

function optionWords(option: Option): OptionWords {
  const flags = [option.long, option.short].filter((flag) => flag != null);
  return { flags, description: option.description, value: placeOf(option) };
}

function placeOf(option: Option): Place | null {
  if (!option.required && !option.optional) return null;
  return option.argChoices ?? (/<(path|file|folder)>/.test(option.flags) ? "files" : "anything");
}
