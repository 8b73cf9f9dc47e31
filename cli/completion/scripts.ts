import type { CommandWords, OptionWords, Place } from "./command-words.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** Asked when Tab is pressed: stepwatch.yaml may be another one by then. A shell may know npx alone. */
const PROJECTS = "{ stepwatch completion projects || npx --no stepwatch completion projects; } 2>/dev/null";

/** The script by which a shell completes `stepwatch`. */
export function completionScript(shell: Shell, commands: readonly CommandWords[]): string {
  return { bash, zsh, fish }[shell](commands);
}

/** What bash and zsh have in common: which words follow, by the command and the word before. */
function cases(commands: readonly CommandWords[], answer: (place: Place) => string): string {
  const own = commands.map((command) => {
    const values = command.options.filter(({ value }) => value !== null);
    const afterOption = values.map(({ flags, value }) => `        ${flags.join("|")}) ${answer(value!)}; return ;;`);
    const places = command.places.map((place, n) => `        ${n}) ${answer(place)} ;;`);
    const last = command.places.at(-1);
    return [
      `    ${command.name})`,
      ...(afterOption.length === 0 ? [] : ['      case "$prev" in', ...afterOption, "      esac"]),
      `      if [[ "$cur" == -* ]]; then ${answer(command.options.flatMap(({ flags }) => flags))}; return; fi`,
      ...(last === undefined
        ? []
        : ['      case "$place" in', ...places, `        *) ${answer(last)} ;;`, "      esac"]),
      "      ;;",
    ].join("\n");
  });
  const first = answer([...commands.map(({ name }) => name), "--help", "--version"]);
  return ['  case "$command" in', `    "") ${first} ;;`, ...own, "  esac"].join("\n");
}

/** Words that take a value, so that the value is taken for no argument. */
const valued = (commands: readonly CommandWords[]): string =>
  [
    ...new Set(
      commands.flatMap(({ options }) => options.filter(({ value }) => value !== null)).flatMap(({ flags }) => flags),
    ),
  ]
    .sort()
    .join("|");

const place = (commands: readonly CommandWords[]): string => `  local command="" place=0 word="" last=""
  for word in "\${before[@]}"; do
    case "$last" in ${valued(commands)}) last=""; continue ;; esac
    last="$word"
    if [[ "$word" == -* ]]; then continue; fi
    if [[ -z "$command" ]]; then command="$word"; else place=$((place + 1)); fi
  done`;

const bash = (commands: readonly CommandWords[]): string => `# source <(npx stepwatch completion bash)
_stepwatch() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD - 1]}"
  local before=("\${COMP_WORDS[@]:1:COMP_CWORD - 1}")
  COMPREPLY=()
${place(commands)}
${cases(commands, inBash)}
}
complete -o bashdefault -F _stepwatch stepwatch
`;

const words = (list: readonly string[]) => list.join(" ");

function inBash(at: Place): string {
  if (at === "files") return 'COMPREPLY=($(compgen -f -- "$cur"))';
  if (at === "projects") return `COMPREPLY=($(compgen -W "$(${PROJECTS})" -- "$cur"))`;
  return at === "anything" ? ":" : `COMPREPLY=($(compgen -W "${words(at)}" -- "$cur"))`;
}

const zsh = (commands: readonly CommandWords[]): string => `#compdef stepwatch
# source <(npx stepwatch completion zsh), after compinit
_stepwatch() {
  local cur="\${words[CURRENT]}" prev="\${words[CURRENT-1]}"
  local -a before
  before=("\${(@)words[2,CURRENT-1]}")
${place(commands)}
${cases(commands, inZsh)}
}
compdef _stepwatch stepwatch
`;

function inZsh(at: Place): string {
  if (at === "files") return "_files";
  if (at === "projects") return `compadd -- \${(f)"$(${PROJECTS})"}`;
  return at === "anything" ? ":" : `compadd -- ${words(at)}`;
}

const fish = (commands: readonly CommandWords[]): string =>
  [
    "# npx stepwatch completion fish | source",
    "complete -c stepwatch -f",
    ...commands.flatMap((command) => [
      `complete -c stepwatch -n __fish_use_subcommand -a ${command.name} -d ${quote(command.description)}`,
      ...command.places.flatMap((at) => inFish(command.name, at)),
      ...command.options.map((option) => optionInFish(command.name, option)),
    ]),
    "",
  ].join("\n");

const seen = (command: string) => `complete -c stepwatch -n '__fish_seen_subcommand_from ${command}'`;

function inFish(command: string, at: Place): string[] {
  if (at === "anything") return [];
  if (at === "files") return [`${seen(command)} -F`];
  return [
    `${seen(command)} -a ${at === "projects" ? "'(stepwatch completion projects 2>/dev/null)'" : quote(words(at))}`,
  ];
}

function optionInFish(command: string, { flags, description, value }: OptionWords): string {
  const names = flags.map((flag) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  const takes =
    value === null ? "" : value === "files" ? " -r -F" : Array.isArray(value) ? ` -x -a ${quote(words(value))}` : " -x";
  return `${seen(command)} ${names.join(" ")}${takes} -d ${quote(description)}`;
}

const quote = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
