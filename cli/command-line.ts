/** A word of a command line that a person can copy: in quotes if the shell would read anything else from it. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** What of a command line says which stack and stepwatch.yaml are meant. */
export interface SameOptions {
  readonly config?: string | undefined;
  readonly stack?: string | undefined;
  readonly endpoint?: string | undefined;
}

/** {@link sameOptions} as words. */
export const optionWords = ({ config, stack, endpoint }: SameOptions): string[] => [
  ...(config === undefined ? [] : ["--config", config]),
  ...(stack === undefined ? [] : ["--stack", stack]),
  ...(endpoint === undefined ? [] : ["--endpoint", endpoint]),
];

/** The options that a command printed for copying needs to mean the same stack and stepwatch.yaml as this one. */
export const sameOptions = (options: SameOptions): string =>
  optionWords(options)
    .map((word) => ` ${quoted(word)}`)
    .join("");
