import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import { marshall } from "@aws-sdk/util-dynamodb";

/** A condition on a row as it stands, made of the named parts below. */
export type Condition = (placeholders: Placeholders) => string;

export const absent =
  (attribute: string): Condition =>
  (p) =>
    `attribute_not_exists(${p.name(attribute)})`;

export const present =
  (attribute: string): Condition =>
  (p) =>
    `attribute_exists(${p.name(attribute)})`;

export const equals =
  (attribute: string, value: unknown): Condition =>
  (p) =>
    `${p.name(attribute)} = ${p.value(value)}`;

export const below =
  (attribute: string, value: number): Condition =>
  (p) =>
    `${p.name(attribute)} < ${p.value(value)}`;

export const atMost =
  (attribute: string, value: number): Condition =>
  (p) =>
    `${p.name(attribute)} <= ${p.value(value)}`;

/** A list of so many entries; none is none. */
export const hasEntries =
  (attribute: string, count: number): Condition =>
  (p) =>
    count === 0 ? absent(attribute)(p) : `size(${p.name(attribute)}) = ${p.value(count)}`;

export const oneOf =
  (attribute: string, values: readonly string[]): Condition =>
  (p) =>
    `${p.name(attribute)} IN (${values.map((value) => p.value(value)).join(", ")})`;

export const allOf =
  (...conditions: readonly Condition[]): Condition =>
  (p) =>
    joined(conditions, p, " AND ");

export const anyOf =
  (...conditions: readonly Condition[]): Condition =>
  (p) =>
    joined(conditions, p, " OR ");

/** A mark of this round or of an earlier one: what comes late does not stand over a later round's. */
export const notLater = (attribute: string, round: number): Condition =>
  anyOf(absent(attribute), atMost(attribute, round));

/** DynamoDB refuses redundant parentheses: a condition alone has none. */
const joined = (conditions: readonly Condition[], p: Placeholders, word: string): string =>
  conditions.length === 1 ? conditions[0]!(p) : conditions.map((condition) => `(${condition(p)})`).join(word);

/** One change of one row: its own attributes only, whatever else stands in the row. */
export interface RowChange {
  /** Undefined values are left out. */
  readonly set?: Readonly<Record<string, unknown>>;
  /** Set unless the row has the attribute. */
  readonly setOnce?: Readonly<Record<string, unknown>>;
  /** Adds entries to the end of a list, which is made if there is none. */
  readonly append?: Readonly<Record<string, readonly unknown[]>>;
  /** Adds to a number, or to a set of numbers (twice is once). */
  readonly add?: Readonly<Record<string, number | ReadonlySet<number>>>;
  /** Takes numbers out of a set. */
  readonly takeOut?: Readonly<Record<string, ReadonlySet<number>>>;
  readonly remove?: readonly string[];
  readonly when?: Condition;
}

/** Names and values of one expression. Every name has a placeholder, since `state` and others are reserved words. */
export class Placeholders {
  readonly names: Record<string, string> = {};
  readonly values: Record<string, unknown> = {};

  name(attribute: string): string {
    this.names[`#${attribute}`] = attribute;
    return `#${attribute}`;
  }

  value(value: unknown): string {
    const placeholder = `:v${Object.keys(this.values).length}`;
    this.values[placeholder] = value;
    return placeholder;
  }
}

/** The expression parameters of UpdateItem. */
export interface UpdateParameters {
  readonly UpdateExpression: string;
  readonly ConditionExpression?: string;
  readonly ExpressionAttributeNames: Record<string, string>;
  readonly ExpressionAttributeValues?: Record<string, AttributeValue>;
}

/** Renders a change as UpdateItem's parameters. */
export function updateParameters(change: RowChange): UpdateParameters {
  const p = new Placeholders();
  const clauses = [
    clause("SET", [
      ...entries(change.set).map(([name, value]) => `${p.name(name)} = ${p.value(value)}`),
      ...entries(change.setOnce).map(
        ([name, value]) => `${p.name(name)} = if_not_exists(${p.name(name)}, ${p.value(value)})`,
      ),
      ...entries(change.append).map(
        ([name, value]) =>
          `${p.name(name)} = list_append(if_not_exists(${p.name(name)}, ${p.value([])}), ${p.value(value)})`,
      ),
    ]),
    clause(
      "ADD",
      entries(change.add).map(([name, value]) => `${p.name(name)} ${p.value(value)}`),
    ),
    clause(
      "DELETE",
      entries(change.takeOut).map(([name, value]) => `${p.name(name)} ${p.value(value)}`),
    ),
    clause(
      "REMOVE",
      (change.remove ?? []).map((name) => p.name(name)),
    ),
  ];
  const condition = change.when?.(p);
  return {
    UpdateExpression: clauses.filter((text) => text !== "").join(" "),
    ...(condition === undefined ? {} : { ConditionExpression: condition }),
    ExpressionAttributeNames: p.names,
    ...(Object.keys(p.values).length === 0 ? {} : { ExpressionAttributeValues: toAttributes(p.values) }),
  };
}

/** A row's attributes for the wire; undefined ones are left out at every depth. */
export function toAttributes(row: Readonly<Record<string, unknown>>): Record<string, AttributeValue> {
  return marshall(row, { removeUndefinedValues: true });
}

function entries<T>(record: Readonly<Record<string, T>> | undefined): [string, T][] {
  return Object.entries(record ?? {}).filter(([, value]) => value !== undefined);
}

function clause(keyword: string, parts: readonly string[]): string {
  return parts.length === 0 ? "" : `${keyword} ${parts.join(", ")}`;
}
