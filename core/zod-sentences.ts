import type { z } from "zod";

/**
 * What zod complains of, as the end of a sentence that begins with a field and its value: `threads = 0: must be at
 * least 1.` Given to every parse whose complaints a person reads; a message that stands in a schema itself wins.
 */
export const inOurWords: z.core.$ZodErrorMap = (issue) => sentence(issue as Complaint);

/** An issue as zod hands it to an error map: without message, with the input. */
type Complaint = z.core.$ZodRawIssue;

function sentence(issue: Complaint): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined
        ? `is missing: it must be ${withoutAside(kindOf(issue.expected))}.`
        : `must be ${kindOf(issue.expected)}.`;
    case "too_small":
      return issue.origin === "number" || issue.origin === "int"
        ? `must be ${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}.`
        : Number(issue.minimum) <= 1
          ? "must not be empty."
          : `must have at least ${issue.minimum} ${partsOf(issue.origin)}.`;
    case "too_big":
      return issue.origin === "number" || issue.origin === "int"
        ? `must be ${issue.inclusive === false ? "less than" : "at most"} ${issue.maximum}.`
        : `must have at most ${issue.maximum} ${partsOf(issue.origin)}.`;
    case "invalid_value":
      return issue.values.length === 1
        ? `can only be ${String(issue.values[0])}.`
        : `must be one of ${issue.values.map(String).join(", ")}.`;
    case "invalid_union":
      return `must be ${alternatives(issue.errors)}.`;
    case "unrecognized_keys":
      return `has no field ${issue.keys.join(", ")}.`;
    default:
      return "is not of the form that is expected here.";
  }
}

const KINDS: Readonly<Record<string, string>> = {
  string: "a text (in quotes, if it looks like a number or a date)",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "a mapping (lines of the form key: value)",
  record: "a mapping (lines of the form key: value)",
  array: "a list",
  null: "null",
};

const kindOf = (expected: string): string => KINDS[expected] ?? `of the type ${expected}`;

const withoutAside = (kind: string): string => kind.replace(/ \(.*/, "");

const partsOf = (origin: string): string => (origin === "string" ? "characters" : "entries");

/** `a text, a number, or true or false`: what the parts of a union would take. */
function alternatives(errors: readonly (readonly z.core.$ZodIssue[])[]): string {
  const kinds = errors.flatMap(([first]) =>
    first?.code === "invalid_type" && first.path.length === 0 ? [withoutAside(kindOf(first.expected))] : [],
  );
  const different = [...new Set(kinds)];
  if (different.length === 0) return "of another form";
  return [different.slice(0, -1).join(", "), ...different.slice(-1)].filter(Boolean).join(", or ");
}
