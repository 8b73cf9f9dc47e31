/** A statement of a policy as IAM gets it: its intrinsic functions are carried out. */
export interface PolicyStatement {
  readonly Sid?: string;
  readonly Effect: string;
  readonly Principal?: unknown;
  readonly Action?: string | readonly string[];
  readonly NotAction?: string | readonly string[];
  readonly Resource?: string | readonly string[];
  readonly NotResource?: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

/** One call as AWS asks IAM about it. */
export interface IamRequest {
  readonly action: string;
  readonly resource: string;
  /** Condition keys of the request, as AWS' authorization reference names them; several values for keys of several. */
  readonly context: Readonly<Record<string, string | readonly string[]>>;
}

/** Policies that meet one principal: its own, and those of the resource. */
export interface Policies {
  readonly identity: readonly PolicyStatement[];
  readonly resource: readonly PolicyStatement[];
}

export type Decision = "allowed" | "not allowed" | "denied";

const listOf = <T>(value: T | readonly T[] | undefined): readonly T[] =>
  value === undefined ? [] : Array.isArray(value) ? (value as readonly T[]) : [value as T];

/**
 * Policy evaluation within one account: an explicit deny of any policy, then an allow of one of them ("Policy evaluation
 * logic" of the IAM user guide). What it does not know of the language of policies is thrown: a policy that is not
 * understood must not pass.
 * @throws on an operator, a variable or an element that our templates have not used so far
 */
export function decide({ identity, resource }: Policies, request: IamRequest): Decision {
  const all = [...identity, ...resource];
  // Every condition is looked at, so that no unknown one hides behind an action that does not match.
  for (const statement of all) refuseUnknown(statement);
  const meets = (statement: PolicyStatement) => isMet(statement, request);
  if (all.some((statement) => statement.Effect === "Deny" && meets(statement))) return "denied";
  return all.some((statement) => statement.Effect === "Allow" && meets(statement)) ? "allowed" : "not allowed";
}

const ELEMENTS = new Set(["Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"]);

function refuseUnknown(statement: PolicyStatement): void {
  for (const element of Object.keys(statement))
    if (!ELEMENTS.has(element)) throw new Error(`The evaluator does not know the element ${element}.`);
  if (statement.Effect !== "Allow" && statement.Effect !== "Deny") throw new Error(`Effect ${statement.Effect}`);
  for (const [operator, keys] of Object.entries(statement.Condition ?? {}))
    for (const values of Object.values(keys)) holds(operator, undefined, listOf(values));
}

function isMet(statement: PolicyStatement, { action, resource, context }: IamRequest): boolean {
  const { Action, NotAction, Resource, NotResource, Condition = {} } = statement;
  const names = (patterns: typeof Action) =>
    listOf(patterns).some((one) => isLike(action.toLowerCase(), one.toLowerCase()));
  const covers = (patterns: typeof Resource) => listOf(patterns).some((one) => isLike(resource, one));
  if (NotAction === undefined ? !names(Action) : names(NotAction)) return false;
  if (NotResource === undefined ? !covers(Resource) : covers(NotResource)) return false;
  const keys = new Map(Object.entries(context).map(([key, value]) => [key.toLowerCase(), listOf(value)]));
  return Object.entries(Condition).every(([operator, conditions]) =>
    Object.entries(conditions).every(([key, values]) => holds(operator, keys.get(key.toLowerCase()), listOf(values))),
  );
}

type Compare = (value: string, pattern: string) => boolean;

/** Operators by what makes one value of the request match one of the policy; negated ones hold if none matches. */
const OPERATORS: Readonly<Record<string, { readonly compare: Compare; readonly negated: boolean }>> = {
  StringEquals: { compare: (value, pattern) => value === pattern, negated: false },
  StringNotEquals: { compare: (value, pattern) => value === pattern, negated: true },
  StringLike: { compare: isLike, negated: false },
  StringNotLike: { compare: isLike, negated: true },
  ArnEquals: { compare: isLikeArn, negated: false },
  ArnLike: { compare: isLikeArn, negated: false },
  Bool: { compare: (value, pattern) => value.toLowerCase() === pattern.toLowerCase(), negated: false },
};

/** @param given the request's values of the key; undefined: it has none */
function holds(operator: string, given: readonly string[] | undefined, values: readonly string[]): boolean {
  for (const value of values)
    if (value.includes("${")) throw new Error(`The evaluator does not know the variable in ${value}.`);
  if (operator === "Null") return values.some((value) => (value === "true") === (given === undefined));
  const [, quantifier, name] = /^(?:(ForAllValues|ForAnyValue):)?(\w+)$/.exec(operator) ?? [];
  const known = OPERATORS[name ?? ""];
  if (known === undefined) throw new Error(`The evaluator does not know the operator ${operator}.`);
  const one = (value: string) => values.some((pattern) => known.compare(value, pattern)) !== known.negated;
  if (quantifier === "ForAllValues") return (given ?? []).every(one);
  if (quantifier === "ForAnyValue") return (given ?? []).some(one);
  if (given === undefined) return known.negated;
  if (given.length !== 1)
    throw new Error(`${operator} of a key with ${given.length} values needs ForAllValues or ForAnyValue.`);
  return one(given[0]!);
}

/** `*` is any text, `?` one character. */
function isLike(value: string, pattern: string): boolean {
  const expression = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${expression}$`, "s").test(value);
}

/** Each of the six parts of an ARN for itself: no `*` reaches over a colon of the first five. */
function isLikeArn(value: string, pattern: string): boolean {
  const parts = (arn: string) => [...arn.split(":").slice(0, 5), arn.split(":").slice(5).join(":")];
  const [given, wanted] = [parts(value), parts(pattern)];
  return wanted.every((part, at) => isLike(given[at] ?? "", part));
}
