import { FatalError } from "./errors.ts";

/**
 * What AWS refuses by size, as data with its sources. Emulators accept most of it; so the clients hold their own calls to
 * it (clients/within-limits.ts), and the ledger in memory its rows: nothing passes there and fails on AWS (behaviour D18).
 */
export const AWS_LIMITS = {
  /** Bytes of UTF-8. DynamoDB developer guide, "Quotas": partition key. */
  partitionKeyBytes: 2_048,
  /** Sort key. */
  sortKeyBytes: 1_024,
  /** One item, names of attributes included. */
  itemBytes: 400 * 1_024,
  /** TransactWriteItems: actions, and bytes of all items. */
  transactionActions: 100,
  transactionBytes: 4 * 1_024 * 1_024,
  /** BatchGetItem: keys. */
  batchKeys: 100,
  /** BatchWriteItem: rows, and bytes of all of them. */
  batchPuts: 25,
  batchBytes: 16 * 1_024 * 1_024,
  /** S3 user guide, "Creating object key names": bytes of UTF-8. */
  objectKeyBytes: 1_024,
  /** Step Functions developer guide, "Quotas": characters of an execution's name. */
  executionNameCharacters: 80,
  /** Bytes of input or output of a state or execution. */
  payloadBytes: 262_144,
  /** SendTaskFailure, API reference: characters of error and cause. */
  errorCharacters: 256,
  causeCharacters: 32_768,
  /** ECS API reference, RunTask: characters of overrides as JSON, of startedBy and of the client token; tags. */
  overridesCharacters: 8_192,
  startedByCharacters: 128,
  clientTokenCharacters: 64,
  tags: 50,
  tagKeyCharacters: 128,
  tagValueCharacters: 256,
  /** EventBridge user guide, "PutEvents": entries, and bytes of all entries of a call. */
  eventEntries: 10,
  eventBytes: 256 * 1_024,
} as const;

/** Characters that Step Functions takes in an execution's name, with logging on. */
const EXECUTION_NAME = /^[A-Za-z0-9_-]+$/;

/** Characters that ECS takes in tags. */
const TAG = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

/** A call that AWS would refuse for its size or characters: a defect of ours, which no repetition mends. */
export class AwsLimitExceeded extends FatalError {
  override readonly name = "AwsLimitExceeded";
  readonly field: string;
  readonly size: number;
  readonly limit: number;
  constructor(field: string, size: number, limit: number) {
    super(`AWS refuses ${field}: it is ${size}, at most ${limit} are allowed.`);
    this.field = field;
    this.size = size;
    this.limit = limit;
  }
}

/** Bytes of a text in UTF-8. */
export const bytesOf = (text: string): number => Buffer.byteLength(text);

/** @throws {AwsLimitExceeded} */
export function atMost(field: string, size: number, limit: number): void {
  if (size > limit) throw new AwsLimitExceeded(field, size, limit);
}

/** A key of the table; an empty one is refused too. @throws {AwsLimitExceeded} */
export function checkTableKey(key: { readonly pk?: string | undefined; readonly sk?: string | undefined }): void {
  checkText("a partition key (bytes)", key.pk, AWS_LIMITS.partitionKeyBytes);
  checkText("a sort key (bytes)", key.sk, AWS_LIMITS.sortKeyBytes);
}

/** @throws {AwsLimitExceeded} */
export const checkObjectKey = (key: string | undefined): void =>
  checkText("a key of the bucket (bytes)", key, AWS_LIMITS.objectKeyBytes);

/** @throws {AwsLimitExceeded} */
export function checkExecutionName(name: string | undefined): void {
  checkText("an execution's name (characters)", name, AWS_LIMITS.executionNameCharacters);
  if (name !== undefined && !EXECUTION_NAME.test(name)) throw new AwsLimitExceeded(`the execution name ${name}`, 1, 0);
}

/** @throws {AwsLimitExceeded} */
export function checkTags(
  tags: readonly { readonly key?: string | undefined; readonly value?: string | undefined }[],
): void {
  atMost("the number of tags", tags.length, AWS_LIMITS.tags);
  for (const { key = "", value = "" } of tags) {
    atMost("a tag's key (characters)", key.length, AWS_LIMITS.tagKeyCharacters);
    atMost("a tag's value (characters)", value.length, AWS_LIMITS.tagValueCharacters);
    if (key === "" || !TAG.test(key) || !TAG.test(value)) throw new AwsLimitExceeded(`the tag ${key}=${value}`, 1, 0);
  }
}

/**
 * An item as JSON, whose size is never below DynamoDB's own count by more than the digits of its numbers. Sets come as
 * arrays. @throws {AwsLimitExceeded}
 */
export const checkItem = (item: unknown): void =>
  atMost("an item (bytes)", bytesOf(JSON.stringify(item) ?? ""), AWS_LIMITS.itemBytes);

function checkText(field: string, text: string | undefined, limit: number): void {
  if (text === undefined) return;
  if (text === "") throw new AwsLimitExceeded(`${field}, which is empty`, 0, limit);
  atMost(field, bytesOf(text), limit);
}
