import { type Condition, Placeholders } from "#clients/dynamo/expressions.ts";

type Row = Readonly<Record<string, unknown>>;
type Holds = (row: Row, values: Row) => boolean;

/** Whether a condition of the ledger's client holds of a row; null: there is no such row. */
export function holds(condition: Condition | undefined, row: Row | null): boolean {
  if (condition === undefined) return true;
  const p = new Placeholders();
  const text = condition(p);
  const known = compiled.get(text) ?? compile(text);
  compiled.set(text, known);
  return known(row ?? {}, p.values);
}

/** Conditions are few texts, whose values differ. */
const compiled = new Map<string, Holds>();

const TOKEN =
  /\s*(attribute_not_exists|attribute_exists|begins_with|size|AND|OR|NOT|IN|<=|>=|<>|<|>|=|\(|\)|,|#\w+|:\w+)/y;

/** The grammar of what clients/dynamo/expressions writes: functions, comparisons, lists, AND before OR. */
function compile(text: string): Holds {
  const tokens: string[] = [];
  for (TOKEN.lastIndex = 0; TOKEN.lastIndex < text.trimEnd().length; ) {
    const found = TOKEN.exec(text);
    if (found === null) throw new Error(`The model does not know this condition: ${text}`);
    tokens.push(found[1]!);
  }
  let at = 0;
  const take = (wanted?: string): string => {
    const token = tokens[at++];
    if (token === undefined || (wanted !== undefined && token !== wanted))
      throw new Error(`The model does not know this condition: ${text}`);
    return token;
  };
  const any = (): Holds => joined("OR", all, (parts) => (row, values) => parts.some((part) => part(row, values)));
  const all = (): Holds => joined("AND", one, (parts) => (row, values) => parts.every((part) => part(row, values)));
  const joined = (word: string, part: () => Holds, join: (parts: Holds[]) => Holds): Holds => {
    const parts = [part()];
    while (tokens[at] === word) {
      take(word);
      parts.push(part());
    }
    return parts.length === 1 ? parts[0]! : join(parts);
  };
  const one = (): Holds => {
    const token = take();
    if (token === "(") return closed(any());
    if (token === "NOT") return not(one());
    if (token === "attribute_exists") return exists(argument());
    if (token === "attribute_not_exists") return not(exists(argument()));
    if (token === "size") return compared(argument(), sizeOf);
    return tokens[at] === "IN" ? listed(token) : compared(token, (value) => value);
  };
  const closed = (inner: Holds): Holds => {
    take(")");
    return inner;
  };
  const argument = (): string => {
    take("(");
    const name = take();
    take(")");
    return name;
  };
  const listed = (name: string): Holds => {
    take("IN");
    take("(");
    const given = [take()];
    while (tokens[at] === ",") {
      take(",");
      given.push(take());
    }
    take(")");
    return (row, values) => given.some((value) => row[name.slice(1)] === values[value]);
  };
  const compared = (name: string, of: (value: unknown) => unknown): Holds => {
    const compare = COMPARE[take()];
    const value = take();
    if (compare === undefined) throw new Error(`The model does not know this condition: ${text}`);
    return (row, values) => {
      const stored = of(row[name.slice(1)]);
      return stored !== undefined && compare(stored as number, values[value] as number);
    };
  };
  const whole = any();
  if (at !== tokens.length) throw new Error(`The model does not know this condition: ${text}`);
  return whole;
}

const COMPARE: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  "=": (a, b) => a === b,
  "<>": (a, b) => a !== b,
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
};

const not =
  (inner: Holds): Holds =>
  (row, values) =>
    !inner(row, values);

const exists =
  (name: string): Holds =>
  (row) =>
    row[name.slice(1)] !== undefined;

const sizeOf = (value: unknown): number | undefined => (value as readonly unknown[] | undefined)?.length;
