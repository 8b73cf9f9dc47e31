import { describe, expect, it, test } from "vitest";
import { decide, type IamRequest, type PolicyStatement } from "./iam-evaluator.ts";

const TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/ledger";
const update = (...keys: string[]): IamRequest => ({
  action: "dynamodb:UpdateItem",
  resource: TABLE,
  context: keys.length === 0 ? {} : { "dynamodb:LeadingKeys": keys },
});
const statement = (changes: Partial<PolicyStatement> = {}): PolicyStatement => ({
  Effect: "Allow",
  Action: "dynamodb:UpdateItem",
  Resource: TABLE,
  ...changes,
});
const given = (request: IamRequest, ...identity: PolicyStatement[]) => decide({ identity, resource: [] }, request);
const when = (Condition: NonNullable<PolicyStatement["Condition"]>) => statement({ Condition });

describe("the evaluator of IAM's policies", () => {
  it("allows nothing that no statement allows, and nothing that one denies, whoever allows it", () => {
    expect(given(update("A"))).toBe("not allowed");
    expect(given(update("A"), statement())).toBe("allowed");
    expect(given(update("A"), statement(), statement({ Effect: "Deny" }))).toBe("denied");
    const resource = [statement({ Effect: "Deny", Principal: { AWS: "*" } })];
    expect(decide({ identity: [statement()], resource }, update("A"))).toBe("denied");
  });

  it("matches actions without case and resources with it, `*` and `?` as IAM does", () => {
    expect(given(update("A"), statement({ Action: ["DYNAMODB:update*"] }))).toBe("allowed");
    expect(given(update("A"), statement({ Action: "dynamodb:UpdateIte?" }))).toBe("allowed");
    expect(given(update("A"), statement({ Action: "dynamodb:Update" }))).toBe("not allowed");
    expect(given(update("A"), statement({ Resource: "arn:aws:dynamodb:*:table/ledger" }))).toBe("allowed");
    expect(given(update("A"), statement({ Resource: TABLE.toUpperCase() }))).toBe("not allowed");
    expect(given(update("A"), statement({ Action: undefined, NotAction: "dynamodb:Get*" } as never))).toBe("allowed");
    expect(given(update("A"), statement({ Resource: undefined, NotResource: TABLE } as never))).toBe("not allowed");
  });

  test.each<[string, NonNullable<PolicyStatement["Condition"]>, string[], boolean]>([
    [
      "all values",
      { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["RUN#a#*"] } },
      ["RUN#a#1", "RUN#a#2"],
      true,
    ],
    [
      "not all values",
      { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["RUN#a#*"] } },
      ["RUN#a#1", "RUN#b#1"],
      false,
    ],
    ["of none all", { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["RUN#a#*"] } }, [], true],
    [
      "any value is another",
      { "ForAnyValue:StringNotLike": { "dynamodb:LeadingKeys": ["A*", "B*"] } },
      ["A1", "C1"],
      true,
    ],
    [
      "no value is another",
      { "ForAnyValue:StringNotLike": { "dynamodb:LeadingKeys": ["A*", "B*"] } },
      ["A1", "B1"],
      false,
    ],
    ["of none any", { "ForAnyValue:StringNotLike": { "dynamodb:LeadingKeys": ["A*"] } }, [], false],
    ["a key that must be there", { Null: { "dynamodb:LeadingKeys": "false" } }, [], false],
    ["a key that is there", { Null: { "dynamodb:LeadingKeys": "false" } }, ["A"], true],
    ["a key that must not", { Null: { "dynamodb:LeadingKeys": "true" } }, ["A"], false],
    ["an absent key equals nothing", { StringEquals: { "dynamodb:LeadingKeys": "A" } }, [], false],
    ["an absent key is unlike all", { StringNotLike: { "dynamodb:LeadingKeys": "A" } }, [], true],
    [
      "an ARN part by part",
      { ArnLike: { "dynamodb:LeadingKeys": "arn:aws:iam::*:role/x*" } },
      ["arn:aws:iam::1:role/xy"],
      true,
    ],
    ["no `*` over a colon", { ArnLike: { "dynamodb:LeadingKeys": "arn:*:role/x" } }, ["arn:aws:iam::1:role/x"], false],
    [
      "each condition",
      { Bool: { "dynamodb:LeadingKeys": "true" }, Null: { "dynamodb:LeadingKeys": "true" } },
      ["true"],
      false,
    ],
  ])("%s", (_, condition, keys, holds) => {
    expect(given(update(...keys), when(condition))).toBe(holds ? "allowed" : "not allowed");
  });

  it.each<[string, PolicyStatement]>([
    ["an operator", when({ NumericLessThan: { "s3:max-keys": "5" } })],
    ["an operator if the key is there", when({ StringLikeIfExists: { "dynamodb:LeadingKeys": "A" } })],
    ["a quantifier", when({ "ForNoValue:StringLike": { "dynamodb:LeadingKeys": "A" } })],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of IAM's policies.
    ["a variable", when({ StringLike: { "dynamodb:LeadingKeys": "${aws:userid}" } })],
    ["an element", { ...statement(), NotPrincipal: "*" } as PolicyStatement],
    ["several values of a key of one", when({ StringLike: { "dynamodb:LeadingKeys": "A" } })],
  ])("throws on %s that it does not know, also where another statement decides", (_, unknown) => {
    expect(() => given(update("A", "B"), unknown, statement())).toThrow(/evaluator does not know|needs ForAllValues/);
  });
});
