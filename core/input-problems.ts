import { z } from "zod";
import { InputError } from "#core/errors.ts";
import { inOurWords } from "#core/zod-sentences.ts";

/**
 * The value as its schema has it, with defaults filled in.
 * @throws {InputError} with one sentence per problem: the field's path, its value, what is expected, and for an unknown
 * key the nearest known one
 */
export function parseInput<S extends z.ZodType>(what: string, schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value, { error: inOurWords });
  if (parsed.success) return parsed.data;
  throw new InputError(
    what,
    parsed.error.issues.flatMap((issue) => sentences(schema, value, issue)),
  );
}

function sentences(schema: z.ZodType, value: unknown, issue: z.core.$ZodIssue): string[] {
  const path = pathText(issue.path);
  if (issue.code === "unrecognized_keys") {
    const known = keysAt(schema, issue.path);
    return issue.keys.map(
      (key) => `${pathText([...issue.path, key])}: there is no such setting${suggestion(key, known)}`,
    );
  }
  if (issue.code === "invalid_key") return issue.issues.map((inner) => `${path}: ${withStop(inner.message)}`);
  const found = valueAt(value, issue.path);
  if (found === undefined) return [`${path}: ${withStop(issue.message)}`];
  return [`${path}${shown(issue.path, found)}: ${withStop(issue.message)}`];
}

/** `projects.shop.build.select[0]`; the whole file is `(top level)`. */
function pathText(path: readonly PropertyKey[]): string {
  if (path.length === 0) return "(top level)";
  return path
    .map((part, index) => (typeof part === "number" ? `[${part}]` : `${index ? "." : ""}${String(part)}`))
    .join("");
}

/** Values of `environment` and `vars` may be secrets: they are not repeated in messages, which end in build logs. */
function shown(path: readonly PropertyKey[], value: unknown): string {
  if (path.includes("environment") || path.includes("vars")) return "";
  // YAML's .inf and .nan are null in JSON.
  const text = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? String(value));
  return ` = ${text.length > 80 ? `${text.slice(0, 77)}…` : text}`;
}

const withStop = (message: string) => (/[.!?]$/.test(message) ? message : `${message}.`);

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((at, part) => (at as Record<PropertyKey, unknown> | null | undefined)?.[part], value);
}

/** Keys that the schema knows at a path: steps through defaults, records and arrays. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  const inner = unwrapped(schema);
  if (path.length === 0) return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
  const [first, ...rest] = path;
  if (inner instanceof z.ZodObject) {
    const field = inner.shape[String(first)] as z.ZodType | undefined;
    return field === undefined ? [] : keysAt(field, rest);
  }
  if (inner instanceof z.ZodRecord) return keysAt(inner.valueType as z.ZodType, rest);
  if (inner instanceof z.ZodArray) return keysAt(inner.element as z.ZodType, rest);
  return [];
}

function unwrapped(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return unwrapped(schema.unwrap() as z.ZodType);
  }
  return schema;
}

function suggestion(key: string, known: readonly string[]): string {
  const letters = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, "");
  const ranked = known
    .map((name) => ({ name, distance: editDistance(letters(key), letters(name)) }))
    .sort((a, b) => a.distance - b.distance);
  const nearest = ranked[0];
  if (nearest !== undefined && nearest.distance <= Math.max(2, key.length / 3))
    return `; did you mean ${nearest.name}?`;
  return known.length === 0 ? "." : `; known here: ${known.join(", ")}.`;
}

/** Letters to insert, delete or replace to make one word of the other. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
