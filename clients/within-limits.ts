import {
  AWS_LIMITS,
  atMost,
  bytesOf,
  checkExecutionName,
  checkItem,
  checkObjectKey,
  checkTableKey,
  checkTags,
} from "#core/aws-limits.ts";

/** As much of an SDK client as is needed to look at its calls before they are sent. */
interface Client {
  readonly middlewareStack: {
    add(
      middleware: (next: (call: { input: never }) => Promise<never>, context: { commandName?: string }) => unknown,
      options: { step: "initialize"; name: string; override: true },
    ): void;
  };
}

/**
 * The same client, whose calls are held against AWS' limits before they leave: emulators accept what AWS refuses, and an
 * error of ours that names field and size is worth more than `ValidationException` (behaviour D18).
 */
export function withinLimits<C>(client: C): C {
  (client as Client).middlewareStack.add(
    (next, context) => (call: { input: never }) => {
      CHECKS[context.commandName ?? ""]?.(call.input);
      return next(call);
    },
    { step: "initialize", name: "stepwatchLimits", override: true },
  );
  return client;
}

type Attributes = Record<string, { S?: string } | undefined>;
type Check = (input: never) => void;

const keyOf = (attributes: Attributes = {}) => ({ pk: attributes.pk?.S, sk: attributes.sk?.S });
const checkKey = ({ Key }: { Key?: Attributes }) => checkTableKey(keyOf(Key));

/** By command of the SDK, what AWS would refuse of its input. */
const CHECKS: Readonly<Record<string, Check>> = {
  QueryCommand: (input: { ExpressionAttributeValues?: Attributes }) => {
    // Two of its values are keys or their beginnings; which, only its expression tells: none may be longer than either.
    for (const value of Object.values(input.ExpressionAttributeValues ?? {}))
      atMost("a key of a query (bytes)", bytesOf(value?.S ?? ""), AWS_LIMITS.partitionKeyBytes);
  },
  GetItemCommand: checkKey,
  DeleteItemCommand: checkKey,
  UpdateItemCommand: (input: { Key?: Attributes; ExpressionAttributeValues?: Attributes }) => {
    checkKey(input);
    checkItem(input.ExpressionAttributeValues ?? {});
  },
  PutItemCommand: ({ Item }: { Item?: Attributes }) => {
    checkTableKey(keyOf(Item));
    checkItem(Item);
  },
  BatchGetItemCommand: ({ RequestItems = {} }: { RequestItems?: Record<string, { Keys?: Attributes[] }> }) => {
    const keys = Object.values(RequestItems).flatMap((request) => request.Keys ?? []);
    atMost("the number of keys of a batch", keys.length, AWS_LIMITS.batchKeys);
    for (const key of keys) checkTableKey(keyOf(key));
  },
  BatchWriteItemCommand: ({
    RequestItems = {},
  }: {
    RequestItems?: Record<string, { PutRequest?: { Item?: Attributes } }[]>;
  }) => {
    const items = Object.values(RequestItems).flatMap((requests) => requests.map(({ PutRequest }) => PutRequest?.Item));
    atMost("the number of rows of a batch", items.length, AWS_LIMITS.batchPuts);
    for (const item of items) {
      checkTableKey(keyOf(item));
      checkItem(item);
    }
    atMost("a batch of rows (bytes)", bytesOf(JSON.stringify(items)), AWS_LIMITS.batchBytes);
  },
  TransactWriteItemsCommand: ({
    TransactItems = [],
  }: {
    TransactItems?: Record<string, { Key?: Attributes; Item?: Attributes }>[];
  }) => {
    atMost("the number of actions of a transaction", TransactItems.length, AWS_LIMITS.transactionActions);
    for (const part of TransactItems.flatMap((one) => Object.values(one))) {
      checkTableKey(keyOf(part.Key ?? part.Item));
      checkItem(part);
    }
    atMost("a transaction (bytes)", bytesOf(JSON.stringify(TransactItems)), AWS_LIMITS.transactionBytes);
  },
  PutObjectCommand: ({ Key }: { Key?: string }) => checkObjectKey(Key),
  GetObjectCommand: ({ Key }: { Key?: string }) => checkObjectKey(Key),
  StartExecutionCommand: ({ name, input = "" }: { name?: string; input?: string }) => {
    checkExecutionName(name);
    atMost("an execution's input (bytes)", bytesOf(input), AWS_LIMITS.payloadBytes);
  },
  SendTaskSuccessCommand: ({ output = "" }: { output?: string }) =>
    atMost("a task's output (bytes)", bytesOf(output), AWS_LIMITS.payloadBytes),
  SendTaskFailureCommand: ({ error = "", cause = "" }: { error?: string; cause?: string }) => {
    atMost("the name of an error (characters)", error.length, AWS_LIMITS.errorCharacters);
    atMost("the cause of an error (characters)", cause.length, AWS_LIMITS.causeCharacters);
  },
  RunTaskCommand: (input: {
    overrides?: unknown;
    startedBy?: string;
    clientToken?: string;
    tags?: { key?: string; value?: string }[];
  }) => {
    const overrides = JSON.stringify(input.overrides ?? {});
    atMost("the overrides of a task (characters)", overrides.length, AWS_LIMITS.overridesCharacters);
    atMost("startedBy of a task (characters)", (input.startedBy ?? "").length, AWS_LIMITS.startedByCharacters);
    atMost(
      "the client token of a task (characters)",
      (input.clientToken ?? "").length,
      AWS_LIMITS.clientTokenCharacters,
    );
    checkTags(input.tags ?? []);
  },
  PutEventsCommand: ({ Entries = [] }: { Entries?: readonly EventEntry[] }) => {
    atMost("the number of events of a call", Entries.length, AWS_LIMITS.eventEntries);
    const bytes = Entries.reduce((sum, entry) => sum + eventBytes(entry), 0);
    atMost("the events of a call (bytes)", bytes, AWS_LIMITS.eventBytes);
  },
};

export interface EventEntry {
  readonly Source?: string | undefined;
  readonly DetailType?: string | undefined;
  readonly Detail?: string | undefined;
  readonly Resources?: readonly string[] | undefined;
}

/** EventBridge user guide, "Calculating PutEvents event entry size": 14 bytes of time, and every text in UTF-8. */
export const eventBytes = ({ Source = "", DetailType = "", Detail = "", Resources = [] }: EventEntry): number =>
  14 + [Source, DetailType, Detail, ...Resources].reduce((sum, text) => sum + bytesOf(text), 0);
